"""Qwen (Yang et al. 2024 and 2025). Qwen2: Llama with biases of queries, keys and values. Qwen3: no
biases, but normalised queries and keys. Qwen3-MoE: with 128 small experts, of which each token
visits eight.
"""

from typing import Any

from groundup.layers import GLU, GroupedQuery, MoE, RMSNorm, RoPE
from groundup.models.decoder import Decoder, Network, in_turn
from groundup.models.huggingface import (
    GLOBAL,
    LOCAL,
    Family,
    Settings,
    expect,
    layer_kinds,
    of_kind,
    read_activation,
    read_rope,
    write_activation,
)
from groundup.models.llama import (
    ATTENTION,
    attention_of,
    decoder_of,
    links,
    mlp_settings,
    settings_of,
)


def qwen2(
    width: int,
    depth: int,
    heads: int,
    kv_heads: int,
    hidden: int,
    *,
    vocab_size: int = 151_936,
    context: int = 32_768,
    tied: bool = False,
    eps: float = 1e-6,
) -> Decoder:
    """A Qwen2 of the given sizes."""
    return Decoder(
        vocab_size=vocab_size,
        context=context,
        width=width,
        depth=depth,
        attention=GroupedQuery(
            heads=heads,
            kv_heads=kv_heads,
            head_width=width // heads,
            query_key_norm=None,
            bias=True,
        ),
        mlp=GLU(hidden=hidden),
        norm=RMSNorm(eps=eps),
        position=RoPE(base=1e6),
        tied=tied,
    )


def qwen3(
    width: int,
    depth: int,
    heads: int,
    mlp: Network,
    *,
    kv_heads: int = 8,
    tied: bool = False,
) -> Decoder:
    """A Qwen3 of the given sizes; every head has a width of 128."""
    return Decoder(
        vocab_size=151_936,
        context=40_960,
        width=width,
        depth=depth,
        attention=GroupedQuery(heads=heads, kv_heads=kv_heads, head_width=128),
        mlp=mlp,
        position=RoPE(base=1e6),
        tied=tied,
    )


PRESETS: dict[str, Decoder] = {
    "qwen2-0.5b": qwen2(896, 24, 14, 2, 4864, context=131_072, tied=True),
    "qwen2-1.5b": qwen2(1536, 28, 12, 2, 8960, context=131_072, tied=True),
    "qwen2-7b": qwen2(3584, 28, 28, 4, 18_944, vocab_size=152_064, context=131_072),
    "qwen2-72b": qwen2(8192, 80, 64, 8, 29_568, vocab_size=152_064, context=131_072, eps=1e-5),
    "qwen3-0.6b": qwen3(1024, 28, 16, GLU(hidden=3072), tied=True),
    "qwen3-1.7b": qwen3(2048, 28, 16, GLU(hidden=6144), tied=True),
    "qwen3-4b": qwen3(2560, 36, 32, GLU(hidden=9728), tied=True),
    "qwen3-8b": qwen3(4096, 36, 32, GLU(hidden=12_288)),
    "qwen3-14b": qwen3(5120, 40, 40, GLU(hidden=17_408)),
    "qwen3-32b": qwen3(5120, 64, 64, GLU(hidden=25_600)),
    "qwen3-30b-a3b": qwen3(
        2048, 48, 32, MoE(experts=128, active=8, hidden=768, balance=0.001), kv_heads=4
    ),
    "qwen3-235b-a22b": qwen3(
        4096, 94, 64, MoE(experts=128, active=8, hidden=1536, balance=0.001), kv_heads=4
    ),
}


def _windows(settings: Settings) -> list[int | None]:
    """The window of each layer: those from `max_window_layers` on have one, if any has."""
    depth, window = settings["num_hidden_layers"], settings.get("sliding_window")
    if not settings.get("use_sliding_window", False):
        return [None] * depth
    first = settings.get("max_window_layers", 28)
    kinds = settings.get("layer_types") or [
        LOCAL if layer >= first else GLOBAL for layer in range(depth)
    ]
    kinds = layer_kinds(settings, "layer_types", kinds, LOCAL, GLOBAL)
    return [window if kind == LOCAL else None for kind in kinds]


def _read(settings: Settings, **attention: Any) -> Decoder:
    windows = _windows(settings)
    layers = [attention_of(settings, window=window, **attention) for window in windows]
    return decoder_of(
        settings,
        attention=in_turn(layers),
        mlp=GLU(
            hidden=settings["intermediate_size"],
            activation=read_activation(settings.get("hidden_act", "silu")),
        ),
        position=read_rope(settings),
    )


def _write(config: Decoder) -> dict[str, Any]:
    windows = [
        of_kind(GroupedQuery, config.attention_of(layer)).window for layer in range(config.depth)
    ]
    kinds = [GLOBAL if window is None else LOCAL for window in windows]
    local = [window for window in windows if window is not None]
    return {
        **settings_of(config),
        **mlp_settings(config),
        "use_sliding_window": bool(local),
        "sliding_window": local[0] if local else None,
        "max_window_layers": windows.index(local[0]) if local else config.depth,
        "layer_types": kinds,
    }


def _norm(settings: Settings) -> RMSNorm:
    return RMSNorm(eps=settings.get("rms_norm_eps", 1e-6))


def _read_qwen3(settings: Settings) -> Decoder:
    bias = settings.get("attention_bias", False)
    norm = _norm(settings)
    return _read(settings, head_dim=128, query_key_norm=norm, bias=bias, output_bias=bias)


def _write_qwen3(config: Decoder) -> dict[str, Any]:
    return {
        **_write(config),
        "attention_bias": of_kind(GroupedQuery, config.attention_of(0)).bias,
    }


def _read_moe(settings: Settings) -> Decoder:
    """Where `mlp_only_layers` and `decoder_sparse_step` say so, a layer has one plain MLP."""
    expect(settings, use_sliding_window=False)
    activation = read_activation(settings.get("hidden_act", "silu"))
    bias = settings.get("attention_bias", False)
    moe = MoE(
        experts=settings.get("num_experts") or settings["num_local_experts"],
        active=settings["num_experts_per_tok"],
        hidden=settings["moe_intermediate_size"],
        activation=activation,
        normalize=settings.get("norm_topk_prob", False),
        balance=settings.get("router_aux_loss_coef", 0.001),
    )
    dense = GLU(hidden=settings["intermediate_size"], activation=activation)
    plain, step = settings.get("mlp_only_layers") or [], settings.get("decoder_sparse_step", 1)
    layers = [
        dense if layer in plain or (layer + 1) % step else moe
        for layer in range(settings["num_hidden_layers"])
    ]
    return decoder_of(
        settings,
        attention=attention_of(
            settings, query_key_norm=_norm(settings), bias=bias, output_bias=bias
        ),
        mlp=in_turn(layers),
        position=read_rope(settings),
    )


def _write_moe(config: Decoder) -> dict[str, Any]:
    layers = [config.mlp_of(layer) for layer in range(config.depth)]
    moe = of_kind(MoE, next((mlp for mlp in layers if isinstance(mlp, MoE)), None))
    dense = [mlp for mlp in layers if isinstance(mlp, GLU)]
    return {
        **settings_of(config),
        "attention_bias": of_kind(GroupedQuery, config.attention_of(0)).bias,
        "hidden_act": write_activation(moe.activation),
        "num_experts": moe.experts,
        "num_experts_per_tok": moe.active,
        "moe_intermediate_size": moe.hidden,
        "intermediate_size": dense[0].hidden if dense else 3 * config.width,
        "norm_topk_prob": moe.normalize,
        "router_aux_loss_coef": moe.balance,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [i for i, mlp in enumerate(layers) if not isinstance(mlp, MoE)],
        "use_sliding_window": False,
    }


_NORMALISED = ATTENTION | {"query_norm": "self_attn.q_norm", "key_norm": "self_attn.k_norm"}

QWEN2 = Family(
    model_type="qwen2",
    architecture="Qwen2ForCausalLM",
    read=lambda settings: _read(settings, bias=True),
    write=_write,
    links=links,
)
QWEN3 = Family(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    read=_read_qwen3,
    write=_write_qwen3,
    links=lambda config: links(config, attention=_NORMALISED),
)
QWEN3_MOE = Family(
    model_type="qwen3_moe",
    architecture="Qwen3MoeForCausalLM",
    read=_read_moe,
    write=_write_moe,
    links=lambda config: links(config, attention=_NORMALISED),
)
