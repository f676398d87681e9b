"""Llama 1 to 3 (Touvron et al. 2023; Grattafiori et al. 2024): the decoder that most others follow.

Against GPT-2: RMSNorm for LayerNorm, rotary for learned positions, SwiGLU for GELU, no biases, an
untied head; from Llama 2's larger models on, grouped queries.
"""

from collections.abc import Iterator
from typing import Any, cast

from groundup.core.errors import InputError
from groundup.layers import GLU, MLP, GroupedQuery, RMSNorm, RoPE
from groundup.layers.rope_scaling import Llama3
from groundup.models.decoder import Decoder
from groundup.models.huggingface import (
    Family,
    Link,
    Settings,
    blocks,
    expect,
    head_width,
    of_kind,
    older_rope,
    read_activation,
    read_rope,
    same,
    stacked,
    write_activation,
    write_rope,
)


def llama(
    *,
    vocab_size: int,
    context: int,
    width: int,
    depth: int,
    heads: int,
    hidden: int,
    kv_heads: int | None = None,
    position: RoPE | None = None,
    eps: float = 1e-5,
    tied: bool = False,
) -> Decoder:
    """A decoder of this family, by default with as many key-value heads as heads."""
    return Decoder(
        vocab_size=vocab_size,
        context=context,
        width=width,
        depth=depth,
        attention=GroupedQuery(
            heads=heads,
            kv_heads=kv_heads or heads,
            head_width=width // heads,
            query_key_norm=None,
        ),
        mlp=GLU(hidden=hidden),
        norm=RMSNorm(eps=eps),
        position=position or RoPE(),
        tied=tied,
    )


_ONE = {"vocab_size": 32_000, "context": 2048, "eps": 1e-6}
_TWO = {"vocab_size": 32_000, "context": 4096}
_THREE = {"vocab_size": 128_256, "position": RoPE(base=500_000.0)}
_LONG = {
    "vocab_size": 128_256,
    "context": 131_072,
    "position": RoPE(base=500_000.0, scaling=Llama3(factor=8.0, context=8192)),
}
_SMALL = _LONG | {
    "position": RoPE(base=500_000.0, scaling=Llama3(factor=32.0, context=8192)),
    "tied": True,
}
_7B = {"width": 4096, "depth": 32, "heads": 32, "hidden": 11_008}
_13B = {"width": 5120, "depth": 40, "heads": 40, "hidden": 13_824}
_8B = {"width": 4096, "depth": 32, "heads": 32, "kv_heads": 8, "hidden": 14_336}
_70B = {"width": 8192, "depth": 80, "heads": 64, "kv_heads": 8, "hidden": 28_672}

PRESETS: dict[str, Decoder] = {
    name: llama(**cast(Any, sizes))
    for name, sizes in {
        "llama-7b": _ONE | _7B,
        "llama-13b": _ONE | _13B,
        "llama-33b": _ONE | {"width": 6656, "depth": 60, "heads": 52, "hidden": 17_920},
        "llama-65b": _ONE | {"width": 8192, "depth": 80, "heads": 64, "hidden": 22_016},
        "llama-2-7b": _TWO | _7B,
        "llama-2-13b": _TWO | _13B,
        "llama-2-70b": _TWO | _70B,
        "llama-3-8b": _THREE | _8B | {"context": 8192},
        "llama-3-70b": _THREE | _70B | {"context": 8192},
        "llama-3.1-8b": _LONG | _8B,
        "llama-3.1-70b": _LONG | _70B,
        "llama-3.1-405b": _LONG
        | {"width": 16_384, "depth": 126, "heads": 128, "kv_heads": 8, "hidden": 53_248},
        "llama-3.2-1b": _SMALL
        | {"width": 2048, "depth": 16, "heads": 32, "kv_heads": 8, "hidden": 8192},
        "llama-3.2-3b": _SMALL
        | {"width": 3072, "depth": 28, "heads": 24, "kv_heads": 8, "hidden": 8192},
    }.items()
}


def attention_of(settings: Settings, *, head_dim: int | None = None, **fields: Any) -> GroupedQuery:
    """Attention from the settings that all of Llama's heirs share.

    head_dim: where they do not say it; None for all heads together as wide as the model.
    """
    heads = settings["num_attention_heads"]
    kv_heads = settings["num_key_value_heads"] or heads
    if heads % kv_heads:
        raise InputError(
            f"num_key_value_heads ({kv_heads}) must divide num_attention_heads ({heads})"
        )
    return GroupedQuery(
        **{
            "heads": heads,
            "kv_heads": kv_heads,
            "head_width": settings.get("head_dim") or head_dim or head_width(settings),
            "query_key_norm": None,
            **fields,
        }
    )


def decoder_of(settings: Settings, **fields: Any) -> Decoder:
    """A decoder from the settings that all of Llama's heirs share; `fields` replace or add."""
    return Decoder(
        **{
            "vocab_size": settings["vocab_size"],
            "context": settings["max_position_embeddings"],
            "width": settings["hidden_size"],
            "depth": settings["num_hidden_layers"],
            "norm": RMSNorm(eps=settings.get("rms_norm_eps", 1e-6)),
            "tied": settings.get("tie_word_embeddings", False),
            **fields,
        }
    )


def settings_of(config: Decoder) -> dict[str, Any]:
    """The settings that all of Llama's heirs share."""
    attention = of_kind(GroupedQuery, config.attention_of(0))
    parameters = write_rope(of_kind(RoPE, config.position_of(0)))
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.kv_heads,
        "head_dim": attention.head_width,
        "rms_norm_eps": of_kind(RMSNorm, config.norm).eps,
        "rope_parameters": parameters,
        **older_rope(parameters),
        "tie_word_embeddings": config.tied,
    }


def mlp_settings(config: Decoder, key: str = "hidden_act") -> dict[str, Any]:
    """The settings of a gated MLP."""
    mlp = of_kind(GLU, config.mlp_of(0))
    return {"intermediate_size": mlp.hidden, key: write_activation(mlp.activation)}


def _read(settings: Settings) -> Decoder:
    expect(settings, pretraining_tp=1)
    settings = {"num_key_value_heads": None, **settings}
    head_width(settings)  # its class refuses other widths, whatever the heads' own is
    bias = settings.get("attention_bias", False)
    return decoder_of(
        settings,
        attention=attention_of(settings, bias=bias, output_bias=bias),
        mlp=GLU(
            hidden=settings["intermediate_size"],
            activation=read_activation(settings.get("hidden_act", "silu")),
            bias=settings.get("mlp_bias", False),
        ),
        position=read_rope(settings),
    )


def _write(config: Decoder) -> dict[str, Any]:
    return {
        **settings_of(config),
        **mlp_settings(config),
        "attention_bias": of_kind(GroupedQuery, config.attention_of(0)).bias,
        "mlp_bias": of_kind(GLU, config.mlp_of(0)).bias,
    }


ATTENTION = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.o_proj",
}


def links(
    config: Decoder,
    attention: dict[str, str] = ATTENTION,
    mlp: str = "mlp",
    experts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> Iterator[Link]:
    """The tensors of Llama and of its heirs; of a config only those that it has are used.

    attention: our names of its parts and theirs. mlp: their name of it. experts: their names of an
    expert's three matrices.
    """
    yield same("embedding.weight", "model.embed_tokens.weight")
    yield same("readout.norm.weight", "model.norm.weight")
    if not config.tied:
        yield same("readout.head.weight", "lm_head.weight")
    for layer, ours in blocks(config):
        theirs = f"model.layers.{layer}"
        for part, name in attention.items():
            for kind in ("weight", "bias"):
                yield same(f"{ours}.attention.{part}.{kind}", f"{theirs}.{name}.{kind}")
        yield same(f"{ours}.attention_norm.weight", f"{theirs}.input_layernorm.weight")
        if config.placement == "sandwich":
            between = ("post_attention", "pre_feedforward", "post_feedforward")
            norms = zip(("attention_post", "mlp_norm", "mlp_post"), between, strict=True)
            for norm, name in norms:
                yield same(f"{ours}.{norm}.weight", f"{theirs}.{name}_layernorm.weight")
        else:
            yield same(f"{ours}.mlp_norm.weight", f"{theirs}.post_attention_layernorm.weight")
        yield from _mlp_links(config, layer, f"{ours}.mlp", f"{theirs}.{mlp}", experts)


def _mlp_links(
    config: Decoder, layer: int, ours: str, theirs: str, names: tuple[str, str, str]
) -> Iterator[Link]:
    mlp = config.mlp_of(layer)
    assert not isinstance(mlp, MLP)
    parts = ("gate", "up", "down")
    if isinstance(mlp, GLU):
        for part in parts:
            for kind in ("weight", "bias"):
                yield same(f"{ours}.{part}.{kind}", f"{theirs}.{part}_proj.{kind}")
    elif mlp is not None:
        yield same(f"{ours}.router.weight", f"{theirs}.gate.weight")
        yield same(f"{ours}.bias", f"{theirs}.gate.e_score_correction_bias")
        for part, name in zip(parts, names, strict=True):
            experts = [f"{theirs}.experts.{e}.{name}.weight" for e in range(mlp.experts)]
            yield stacked(f"{ours}.{part}", experts)
            yield same(
                f"{ours}.shared.{part}.weight", f"{theirs}.shared_experts.{part}_proj.weight"
            )


FAMILY = Family(
    model_type="llama", architecture="LlamaForCausalLM", read=_read, write=_write, links=links
)
