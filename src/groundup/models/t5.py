"""T5 (Raffel et al. 2020): every task is text in, text out. RMSNorm before each branch, no biases,
and positions only as a learned bias of the attention logits, which are not scaled.

Version 1.1 has GEGLU in place of ReLU, and a head of its own whose input is not scaled.
"""

from collections.abc import Iterator
from typing import Any

from groundup.layers import GLU, MLP, GroupedQuery, RelativeBias, RMSNorm
from groundup.models.encoder_decoder import EncoderDecoder
from groundup.models.huggingface import (
    Family,
    InexpressibleError,
    Link,
    Settings,
    of_kind,
    read_activation,
    same,
)


def t5(
    *,
    width: int,
    depth: int,
    heads: int,
    mlp: GLU | MLP,
    head_width: int = 64,
    tied: bool = True,
    scaled: bool = True,
    encoder_depth: int | None = None,
    vocab_size: int = 32_128,
    context: int = 512,
    position: RelativeBias | None = None,
    eps: float = 1e-6,
    begin: int = 0,
) -> EncoderDecoder:
    """A T5 of the given sizes. scaled: what the head reads is multiplied by 1/√D."""
    return EncoderDecoder(
        vocab_size=vocab_size,
        context=context,
        width=width,
        encoder_depth=encoder_depth or depth,
        depth=depth,
        attention=GroupedQuery(
            heads=heads, kv_heads=heads, head_width=head_width, query_key_norm=None, scale=1.0
        ),
        mlp=mlp,
        norm=RMSNorm(eps=eps),
        position=position or RelativeBias(),
        tied=tied,
        logit_scale=width**-0.5 if scaled else 1.0,
        begin=begin,
    )


def _first(width: int, depth: int, heads: int, hidden: int, head_width: int = 64) -> EncoderDecoder:
    mlp = MLP(hidden=hidden, activation="relu")
    return t5(width=width, depth=depth, heads=heads, mlp=mlp, head_width=head_width)


def _second(width: int, depth: int, heads: int, hidden: int) -> EncoderDecoder:
    mlp = GLU(hidden=hidden, activation="gelu_tanh")
    return t5(width=width, depth=depth, heads=heads, mlp=mlp, tied=False, scaled=False)


PRESETS: dict[str, EncoderDecoder] = {
    "t5-small": _first(512, 6, 8, 2048),
    "t5-base": _first(768, 12, 12, 3072),
    "t5-large": _first(1024, 24, 16, 4096),
    "t5-3b": _first(1024, 24, 32, 16_384, head_width=128),
    "t5-11b": _first(1024, 24, 128, 65_536, head_width=128),
    "t5-v1.1-small": _second(512, 8, 6, 1024),
    "t5-v1.1-base": _second(768, 12, 12, 2048),
    "t5-v1.1-large": _second(1024, 24, 16, 2816),
    "t5-v1.1-xl": _second(2048, 24, 32, 5120),
    "t5-v1.1-xxl": _second(4096, 24, 64, 10_240),
}


def _read(settings: Settings) -> EncoderDecoder:
    kind = settings.get("feed_forward_proj", "relu")
    hidden, tied = settings["d_ff"], settings.get("tie_word_embeddings", True)
    name = kind.removeprefix("gated-")
    activation = read_activation("gelu_new" if kind == "gated-gelu" else name)
    return t5(
        width=settings["d_model"],
        depth=settings.get("num_decoder_layers") or settings["num_layers"],
        encoder_depth=settings["num_layers"],
        heads=settings["num_heads"],
        head_width=settings["d_kv"],
        mlp=(GLU if kind.startswith("gated-") else MLP)(hidden=hidden, activation=activation),
        tied=tied,
        scaled=settings.get("scale_decoder_outputs", tied),
        vocab_size=settings["vocab_size"],
        context=settings.get("n_positions", 512),
        position=RelativeBias(
            buckets=settings.get("relative_attention_num_buckets", 32),
            distance=settings.get("relative_attention_max_distance", 128),
        ),
        eps=settings.get("layer_norm_epsilon", 1e-6),
        begin=settings.get("decoder_start_token_id") or 0,
    )


_KINDS = {
    (MLP, "relu"): "relu",
    (MLP, "gelu_tanh"): "gelu_new",
    (GLU, "gelu_tanh"): "gated-gelu",
    (GLU, "silu"): "gated-silu",
    (GLU, "relu"): "gated-relu",
}


def _write(config: Any) -> dict[str, Any]:
    config = of_kind(EncoderDecoder, config)
    position = of_kind(RelativeBias, config.position)
    kind = _KINDS.get((type(config.mlp), config.mlp.activation))
    if kind is None:
        raise InexpressibleError(config.mlp.activation)
    return {
        "vocab_size": config.vocab_size,
        "n_positions": config.context,
        "d_model": config.width,
        "d_kv": config.attention.head_width,
        "d_ff": config.mlp.hidden,
        "num_layers": config.encoder_depth,
        "num_decoder_layers": config.depth,
        "num_heads": config.attention.heads,
        "feed_forward_proj": kind,
        "relative_attention_num_buckets": position.buckets,
        "relative_attention_max_distance": position.distance,
        "layer_norm_epsilon": of_kind(RMSNorm, config.norm).eps,
        "tie_word_embeddings": config.tied,
        "scale_decoder_outputs": config.logit_scale != 1,
        "decoder_start_token_id": config.begin,
        "is_encoder_decoder": True,
    }


_ATTENTION = {"query": "q", "key": "k", "value": "v", "output": "o"}


def _links(config: EncoderDecoder) -> Iterator[Link]:
    yield same("embedding.weight", "shared.weight")
    if not config.tied:
        yield same("readout.head.weight", "lm_head.weight")
    yield same("encoder_norm.weight", "encoder.final_layer_norm.weight")
    yield same("readout.norm.weight", "decoder.final_layer_norm.weight")
    sides = (
        ("encoder.", "encoder", config.encoder_depth, {"attention": "SelfAttention"}),
        ("", "decoder", config.depth, {"attention": "SelfAttention", "cross": "EncDecAttention"}),
    )
    for prefix, side, depth, kinds in sides:
        bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        yield same(f"{prefix}positions.views.0.bias.weight", bias)
        for layer in range(depth):
            ours = f"{prefix}blocks.{layer}"
            for place, (kind, name) in enumerate(kinds.items()):
                theirs = f"{side}.block.{layer}.layer.{place}"
                for part, letter in _ATTENTION.items():
                    yield same(f"{ours}.{kind}.{part}.weight", f"{theirs}.{name}.{letter}.weight")
                yield same(f"{ours}.{kind}_norm.weight", f"{theirs}.layer_norm.weight")
            theirs = f"{side}.block.{layer}.layer.{len(kinds)}"
            inner = {"up": "wi", "down": "wo"}
            if isinstance(config.mlp, GLU):
                inner = {"gate": "wi_0", "up": "wi_1", "down": "wo"}
            for part, name in inner.items():
                yield same(f"{ours}.mlp.{part}.weight", f"{theirs}.DenseReluDense.{name}.weight")
            yield same(f"{ours}.mlp_norm.weight", f"{theirs}.layer_norm.weight")


FAMILY = Family(
    model_type="t5",
    architecture="T5ForConditionalGeneration",
    read=_read,
    write=_write,
    links=_links,
    config=EncoderDecoder,
    auto="AutoModelForSeq2SeqLM",
    prefix="",
    ignored=("embed_tokens.weight", "EncDecAttention.relative_attention_bias.weight"),
)
