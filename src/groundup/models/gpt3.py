"""GPT-3 (Brown et al. 2020): GPT-2 made larger, with layers that see all before them and layers
that see a band of it in turn, as in the Sparse Transformer (Child et al. 2019).

Its weights were never published. GPT-Neo (Black et al. 2021) is its open copy, with a band of 256,
and the class that checkpoints of this arrangement are exchanged in; it has no biases of queries,
keys and values, and does not scale their products.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from groundup.layers import MLP, GroupedQuery, LayerNorm, Learned
from groundup.models.decoder import Decoder, in_turn
from groundup.models.gpt2 import gpt2, norms
from groundup.models.huggingface import (
    Family,
    Link,
    Settings,
    blocks,
    head_width,
    layer_kinds,
    of_kind,
    read_activation,
    same,
    write_activation,
)

BAND = 256


def gpt3(*, width: int, depth: int, heads: int, head_width: int) -> Decoder:
    """A GPT-3 of the given sizes (table 2.1). The paper does not say how wide its bands are; and of
    "XL" it says 24 heads, which with 1.3 billion weights must be 16."""
    dense = GroupedQuery(
        heads=heads,
        kv_heads=heads,
        head_width=head_width,
        query_key_norm=None,
        bias=True,
        output_bias=True,
    )
    decoder = gpt2(width=width, depth=depth, heads=heads, context=2048)
    return replace(decoder, attention=(dense, replace(dense, window=BAND)))


PRESETS: dict[str, Decoder] = {
    "gpt3-small": gpt3(width=768, depth=12, heads=12, head_width=64),
    "gpt3-medium": gpt3(width=1024, depth=24, heads=16, head_width=64),
    "gpt3-large": gpt3(width=1536, depth=24, heads=16, head_width=96),
    "gpt3-xl": gpt3(width=2048, depth=24, heads=16, head_width=128),
    "gpt3-2.7b": gpt3(width=2560, depth=32, heads=32, head_width=80),
    "gpt3-6.7b": gpt3(width=4096, depth=32, heads=32, head_width=128),
    "gpt3-13b": gpt3(width=5140, depth=40, heads=40, head_width=128),
    "gpt3-175b": gpt3(width=12_288, depth=96, heads=96, head_width=128),
}


def _read(settings: Settings) -> Decoder:
    width, heads = settings["hidden_size"], settings["num_heads"]
    dense = GroupedQuery(
        heads=heads,
        kv_heads=heads,
        head_width=head_width(settings, heads="num_heads"),
        query_key_norm=None,
        output_bias=True,
        scale=1.0,
    )
    banded = replace(dense, window=settings["window_size"])
    named = "attention_types" if settings.get("attention_types") else "attention_layers"
    kinds = settings[named]
    if named == "attention_types":
        kinds = [kind for pattern, times in kinds for kind in pattern * times]
    kinds = layer_kinds(settings, named, kinds, "global", "local")
    return Decoder(
        vocab_size=settings["vocab_size"],
        context=settings["max_position_embeddings"],
        width=width,
        depth=settings["num_layers"],
        attention=in_turn([dense if kind == "global" else banded for kind in kinds]),
        mlp=MLP(
            hidden=settings.get("intermediate_size") or 4 * width,
            activation=read_activation(settings.get("activation_function", "gelu_new")),
            bias=True,
        ),
        norm=LayerNorm(eps=settings.get("layer_norm_epsilon", 1e-5)),
        position=Learned(),
        tied=settings.get("tie_word_embeddings", True),
    )


def _write(config: Decoder) -> dict[str, Any]:
    layers = [of_kind(GroupedQuery, config.attention_of(i)) for i in range(config.depth)]
    kinds = ["global" if layer.window is None else "local" for layer in layers]
    windows = [layer.window for layer in layers if layer.window is not None]
    mlp = of_kind(MLP, config.mlp_of(0))
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "num_layers": config.depth,
        "num_heads": layers[0].heads,
        "attention_types": [[kinds, 1]],
        "attention_layers": kinds,
        "window_size": windows[0] if windows else BAND,
        "intermediate_size": mlp.hidden,
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
        for part, name in (
            ("attention.query", "attn.attention.q_proj"),
            ("attention.key", "attn.attention.k_proj"),
            ("attention.value", "attn.attention.v_proj"),
            ("attention.output", "attn.attention.out_proj"),
            ("mlp.up", "mlp.c_fc"),
            ("mlp.down", "mlp.c_proj"),
        ):
            yield same(f"{ours}.{part}.weight", f"{theirs}.{name}.weight")
            yield same(f"{ours}.{part}.bias", f"{theirs}.{name}.bias")


FAMILY = Family(
    model_type="gpt_neo",
    architecture="GPTNeoForCausalLM",
    read=_read,
    write=_write,
    links=_links,
    prefix="transformer.",
    ignored=(".attn.attention.bias", ".attn.attention.masked_bias"),
)
