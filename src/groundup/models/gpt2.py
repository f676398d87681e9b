"""GPT-2 (Radford et al. 2019): the decoder with learned positions, LayerNorm before each branch,
GELU and biases everywhere.
"""

from collections.abc import Iterator
from typing import Any

from groundup.layers import MLP, GroupedQuery, LayerNorm, Learned
from groundup.models.decoder import Decoder
from groundup.models.huggingface import (
    Family,
    Link,
    Settings,
    blocks,
    expect,
    fused,
    head_width,
    of_kind,
    read_activation,
    same,
    transposed,
    write_activation,
)


def gpt2(
    *,
    width: int,
    depth: int,
    heads: int,
    vocab_size: int = 50_257,
    context: int = 1024,
) -> Decoder:
    """A GPT-2 of the given sizes."""
    return Decoder(
        vocab_size=vocab_size,
        context=context,
        width=width,
        depth=depth,
        attention=GroupedQuery(
            heads=heads,
            kv_heads=heads,
            head_width=width // heads,
            query_key_norm=None,
            bias=True,
            output_bias=True,
        ),
        mlp=MLP(hidden=4 * width, activation="gelu_tanh", bias=True),
        norm=LayerNorm(),
        position=Learned(),
        tied=True,
    )


PRESETS: dict[str, Decoder] = {
    "gpt2": gpt2(width=768, depth=12, heads=12),
    "gpt2-medium": gpt2(width=1024, depth=24, heads=16),
    "gpt2-large": gpt2(width=1280, depth=36, heads=20),
    "gpt2-xl": gpt2(width=1600, depth=48, heads=25),
}


def _read(settings: Settings) -> Decoder:
    expect(
        settings,
        add_cross_attention=False,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
    )
    width, heads = settings["n_embd"], settings["n_head"]
    return Decoder(
        vocab_size=settings["vocab_size"],
        context=settings["n_positions"],
        width=width,
        depth=settings["n_layer"],
        attention=GroupedQuery(
            heads=heads,
            kv_heads=heads,
            head_width=head_width(settings, "n_embd", "n_head"),
            query_key_norm=None,
            bias=True,
            output_bias=True,
        ),
        mlp=MLP(
            hidden=settings.get("n_inner") or 4 * width,
            activation=read_activation(settings.get("activation_function", "gelu_new")),
            bias=True,
        ),
        norm=LayerNorm(eps=settings.get("layer_norm_epsilon", 1e-5)),
        position=Learned(),
        tied=settings.get("tie_word_embeddings", True),
    )


def _write(config: Decoder) -> dict[str, Any]:
    mlp = of_kind(MLP, config.mlp_of(0))
    return {
        "vocab_size": config.vocab_size,
        "n_positions": config.context,
        "n_embd": config.width,
        "n_layer": config.depth,
        "n_head": of_kind(GroupedQuery, config.attention_of(0)).heads,
        "n_inner": mlp.hidden,
        "activation_function": write_activation(mlp.activation, "gelu_new", "gelu", "relu", "silu"),
        "layer_norm_epsilon": of_kind(LayerNorm, config.norm).eps,
        "tie_word_embeddings": config.tied,
    }


def _links(config: Decoder) -> Iterator[Link]:
    yield same("embedding.weight", "transformer.wte.weight")
    yield same("positions.added.weight", "transformer.wpe.weight")
    yield from norms("readout.norm", "transformer.ln_f")
    if not config.tied:
        yield same("readout.head.weight", "lm_head.weight")
    for layer, ours in blocks(config):
        theirs = f"transformer.h.{layer}"
        yield from norms(f"{ours}.attention_norm", f"{theirs}.ln_1")
        yield from norms(f"{ours}.mlp_norm", f"{theirs}.ln_2")
        parts = [f"{ours}.attention.{part}" for part in ("query", "key", "value")]
        weights, biases = [f"{part}.weight" for part in parts], [f"{part}.bias" for part in parts]
        yield fused(weights, f"{theirs}.attn.c_attn.weight", transpose=True)
        yield fused(biases, f"{theirs}.attn.c_attn.bias")
        for part, name in (
            ("attention.output", "attn.c_proj"),
            ("mlp.up", "mlp.c_fc"),
            ("mlp.down", "mlp.c_proj"),
        ):
            yield transposed(f"{ours}.{part}.weight", f"{theirs}.{name}.weight")
            yield same(f"{ours}.{part}.bias", f"{theirs}.{name}.bias")


def norms(ours: str, theirs: str) -> Iterator[Link]:
    """Weight and bias of a LayerNorm."""
    for kind in ("weight", "bias"):
        yield same(f"{ours}.{kind}", f"{theirs}.{kind}")


FAMILY = Family(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    read=_read,
    write=_write,
    links=_links,
    prefix="transformer.",
    ignored=(".attn.bias", ".attn.masked_bias"),
)
