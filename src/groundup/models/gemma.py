"""Gemma 2 and 3 (Gemma Team 2024, 2025): norms before and after each branch, embeddings scaled by
√D, GEGLU, and local layers of a sliding window between global ones.

Gemma 2 caps its logits. Gemma 3 normalises queries and keys instead, and gives its local and its
global layers rotary bases of their own.
"""

from typing import Any

from groundup.layers import GLU, GroupedQuery, RMSNorm, RoPE
from groundup.layers.rope_scaling import Linear
from groundup.models.decoder import Decoder, in_turn
from groundup.models.huggingface import (
    GLOBAL,
    LOCAL,
    Family,
    Settings,
    expect,
    head_width,
    layer_kinds,
    of_kind,
    read_activation,
    read_rope,
    write_rope,
)
from groundup.models.llama import (
    ATTENTION,
    attention_of,
    decoder_of,
    links,
    mlp_settings,
    settings_of,
)

_NORM = RMSNorm(eps=1e-6, offset=True)


def gemma2(
    width: int, depth: int, heads: int, kv_heads: int, head_width: int, hidden: int, scale: float
) -> Decoder:
    """A Gemma 2: every other layer is local, with a window of 4,096."""

    def layer(window: int | None) -> GroupedQuery:
        return GroupedQuery(
            heads=heads,
            kv_heads=kv_heads,
            head_width=head_width,
            query_key_norm=None,
            window=window,
            scale=scale**-0.5,
            softcap=50.0,
        )

    return Decoder(
        vocab_size=256_000,
        context=8192,
        width=width,
        depth=depth,
        attention=(layer(4096), layer(None)),
        mlp=GLU(hidden=hidden, activation="gelu_tanh"),
        norm=_NORM,
        placement="sandwich",
        tied=True,
        embedding_scale=width**0.5,
        logit_softcap=30.0,
    )


def gemma3(
    width: int,
    depth: int,
    heads: int,
    kv_heads: int,
    hidden: int,
    *,
    context: int = 131_072,
    window: int = 1024,
    head_width: int = 256,
    scale: float = 256,
    factor: float | None = 8.0,
    vocab_size: int = 262_208,
) -> Decoder:
    """A Gemma 3: five layers are local, every sixth is global.

    factor: by which the global layers' positions are divided.
    """

    def layer(window: int | None) -> GroupedQuery:
        return GroupedQuery(
            heads=heads,
            kv_heads=kv_heads,
            head_width=head_width,
            query_key_norm=_NORM,
            window=window,
            scale=scale**-0.5,
        )

    far = RoPE(base=1e6, scaling=None if factor is None else Linear(factor=factor))
    return Decoder(
        vocab_size=vocab_size,
        context=context,
        width=width,
        depth=depth,
        attention=(*[layer(window)] * 5, layer(None)),
        mlp=GLU(hidden=hidden, activation="gelu_tanh"),
        norm=_NORM,
        placement="sandwich",
        position=(*[RoPE()] * 5, far),
        tied=True,
        embedding_scale=width**0.5,
    )


PRESETS: dict[str, Decoder] = {
    "gemma-2-2b": gemma2(2304, 26, 8, 4, 256, 9216, 256),
    "gemma-2-9b": gemma2(3584, 42, 16, 8, 256, 14_336, 256),
    "gemma-2-27b": gemma2(4608, 46, 32, 16, 128, 36_864, 144),
    "gemma-3-1b": gemma3(
        1152, 26, 4, 1, 6912, context=32_768, window=512, factor=None, vocab_size=262_144
    ),
    "gemma-3-4b": gemma3(2560, 34, 8, 4, 10_240),
    "gemma-3-12b": gemma3(3840, 48, 16, 8, 15_360),
    "gemma-3-27b": gemma3(5376, 62, 32, 16, 21_504, head_width=128, scale=168),
}


def _read(settings: Settings, pattern: int) -> Decoder:
    """pattern: one of so many layers is global, where `layer_types` does not say."""
    expect(settings, use_bidirectional_attention=False)
    head_width(settings)  # its class refuses other widths, whatever the heads' own is
    one = settings["model_type"] == "gemma2"  # one kind of position for all layers
    kinds = settings.get("layer_types") or [
        LOCAL if (layer + 1) % pattern else GLOBAL for layer in range(settings["num_hidden_layers"])
    ]
    kinds = layer_kinds(settings, "layer_types", kinds, LOCAL, GLOBAL)
    positions = {
        LOCAL: RoPE(base=float(settings.get("rope_local_base_freq", 10_000.0))),
        GLOBAL: read_rope(settings) if one else read_rope(settings, kind=GLOBAL, base=1e6),
    }
    if LOCAL in (settings.get("rope_parameters") or {}):
        positions[LOCAL] = read_rope(settings, kind=LOCAL)
    caps = {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0} if one else {}
    settings = {**caps, **settings}
    norm = RMSNorm(eps=settings.get("rms_norm_eps", 1e-6), offset=True)
    layers = [
        attention_of(
            settings,
            head_dim=256,
            query_key_norm=None if one else norm,
            window=settings["sliding_window"] if kind == LOCAL else None,
            scale=settings["query_pre_attn_scalar"] ** -0.5,
            softcap=settings.get("attn_logit_softcapping"),
            bias=settings.get("attention_bias", False),
            output_bias=settings.get("attention_bias", False),
        )
        for kind in kinds
    ]
    return decoder_of(
        settings,
        attention=in_turn(layers),
        mlp=GLU(
            hidden=settings["intermediate_size"],
            activation=read_activation(settings.get("hidden_activation", "gelu_pytorch_tanh")),
        ),
        norm=norm,
        placement="sandwich",
        position=positions[GLOBAL] if one else in_turn([positions[kind] for kind in kinds]),
        tied=settings.get("tie_word_embeddings", True),
        embedding_scale=settings["hidden_size"] ** 0.5,
        logit_softcap=settings.get("final_logit_softcapping"),
    )


def _read_gemma2(settings: Settings) -> Decoder:
    expect(settings, sliding_window_pattern=2)
    return _read(settings, 2)


def _read_gemma3(settings: Settings) -> Decoder:
    return _read(settings, settings.get("sliding_window_pattern") or 6)


def _write(config: Decoder, model_type: str) -> dict[str, Any]:
    attention = [of_kind(GroupedQuery, config.attention_of(i)) for i in range(config.depth)]
    kinds = [GLOBAL if layer.window is None else LOCAL for layer in attention]
    windows = [layer.window for layer in attention if layer.window is not None]
    settings = {
        **settings_of(config),
        **mlp_settings(config, "hidden_activation"),
        "layer_types": kinds,
        "sliding_window": windows[0] if windows else config.context,
        "query_pre_attn_scalar": round((attention[0].scale or 0.0625) ** -2),
        "attn_logit_softcapping": attention[0].softcap,
        "final_logit_softcapping": config.logit_softcap,
        "attention_bias": attention[0].bias,
    }
    if model_type == "gemma3_text":
        ropes = {kind: of_kind(RoPE, config.position_of(i)) for i, kind in enumerate(kinds)}
        settings.pop("rope_scaling", None)
        settings["rope_theta"] = ropes[GLOBAL].base if GLOBAL in ropes else 1e6
        settings["rope_local_base_freq"] = ropes[LOCAL].base if LOCAL in ropes else 1e4
        settings["rope_parameters"] = {
            kind: write_rope(ropes.get(kind, RoPE())) for kind in (LOCAL, GLOBAL)
        }
    return settings


_NORMALISED = ATTENTION | {"query_norm": "self_attn.q_norm", "key_norm": "self_attn.k_norm"}

GEMMA2 = Family(
    model_type="gemma2",
    architecture="Gemma2ForCausalLM",
    read=_read_gemma2,
    write=lambda config: _write(config, "gemma2"),
    links=links,
)
GEMMA3 = Family(
    model_type="gemma3_text",
    architecture="Gemma3ForCausalLM",
    read=_read_gemma3,
    write=lambda config: _write(config, "gemma3_text"),
    links=lambda config: links(config, attention=_NORMALISED),
)
