"""The original Transformer (Vaswani et al. 2017): norms after each branch, sinusoidal positions,
ReLU, one matrix for both embeddings and the head.

Marian is the class in which checkpoints of this arrangement are exchanged (machine translation).
"""

from collections.abc import Iterator
from typing import Any

from groundup.layers import MLP, GroupedQuery, LayerNorm, Sinusoidal
from groundup.models.encoder_decoder import EncoderDecoder
from groundup.models.gpt2 import norms
from groundup.models.huggingface import (
    Family,
    Link,
    Settings,
    expect,
    head_width,
    of_kind,
    read_activation,
    same,
    with_axis,
    write_activation,
)


def transformer(
    *,
    width: int,
    depth: int,
    heads: int,
    hidden: int,
    vocab_size: int = 37_000,
    context: int = 1024,
) -> EncoderDecoder:
    """A Transformer of the given sizes; `depth` on each side."""
    if width % heads:
        raise ValueError(f"heads ({heads}) must divide width ({width})")
    return EncoderDecoder(
        vocab_size=vocab_size,
        context=context,
        width=width,
        encoder_depth=depth,
        depth=depth,
        attention=GroupedQuery(
            heads=heads,
            kv_heads=heads,
            head_width=width // heads,
            query_key_norm=None,
            bias=True,
            output_bias=True,
        ),
        mlp=MLP(hidden=hidden, activation="relu", bias=True),
        norm=LayerNorm(),
        placement="post",
        position=Sinusoidal(),
        embedding_scale=width**0.5,
    )


PRESETS: dict[str, EncoderDecoder] = {
    "transformer-base": transformer(width=512, depth=6, heads=8, hidden=2048),
    "transformer-big": transformer(width=1024, depth=6, heads=16, hidden=4096),
}


def _read(settings: Settings) -> EncoderDecoder:
    expect(settings, share_encoder_decoder_embeddings=True, tie_word_embeddings=True)
    expect(settings, decoder_vocab_size=settings["vocab_size"])
    for part in ("attention_heads", "ffn_dim"):
        expect(settings, **{f"encoder_{part}": settings[f"decoder_{part}"]})
    width, heads = settings["d_model"], settings["encoder_attention_heads"]
    return EncoderDecoder(
        vocab_size=settings["vocab_size"],
        context=settings["max_position_embeddings"],
        width=width,
        encoder_depth=settings["encoder_layers"],
        depth=settings["decoder_layers"],
        attention=GroupedQuery(
            heads=heads,
            kv_heads=heads,
            head_width=head_width(settings, "d_model", "encoder_attention_heads"),
            query_key_norm=None,
            bias=True,
            output_bias=True,
        ),
        mlp=MLP(
            hidden=settings["encoder_ffn_dim"],
            activation=read_activation(settings.get("activation_function", "gelu")),
            bias=True,
        ),
        norm=LayerNorm(),
        placement="post",
        position=Sinusoidal(interleaved=False),
        embedding_scale=width**0.5 if settings.get("scale_embedding", False) else 1.0,
        head_bias=True,
        begin=settings["decoder_start_token_id"],
    )


def _write(config: Any) -> dict[str, Any]:
    config = of_kind(EncoderDecoder, config)
    mlp = of_kind(MLP, config.mlp)
    return {
        "vocab_size": config.vocab_size,
        "decoder_vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "d_model": config.width,
        "encoder_layers": config.encoder_depth,
        "decoder_layers": config.depth,
        "encoder_attention_heads": config.attention.heads,
        "decoder_attention_heads": config.attention.heads,
        "encoder_ffn_dim": mlp.hidden,
        "decoder_ffn_dim": mlp.hidden,
        "activation_function": write_activation(mlp.activation),
        "scale_embedding": config.embedding_scale != 1,
        "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": config.tied,
        "decoder_start_token_id": config.begin,
        "pad_token_id": config.begin,  # Marian begins with it
        "is_encoder_decoder": True,
    }


_ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj"}


def _links(config: EncoderDecoder) -> Iterator[Link]:
    yield same("embedding.weight", "model.shared.weight")
    yield with_axis("head_bias", "final_logits_bias", 0)
    sides = (
        ("encoder.", "encoder", config.encoder_depth, {"attention": "self_attn"}),
        ("", "decoder", config.depth, {"attention": "self_attn", "cross": "encoder_attn"}),
    )
    for prefix, side, depth, kinds in sides:
        for layer in range(depth):
            mine, other = f"{prefix}blocks.{layer}", f"model.{side}.layers.{layer}"
            for kind, name in kinds.items():
                for part, projection in _ATTENTION.items():
                    yield from norms(f"{mine}.{kind}.{part}", f"{other}.{name}.{projection}")
                yield from norms(f"{mine}.{kind}_post", f"{other}.{name}_layer_norm")
            yield from norms(f"{mine}.mlp.up", f"{other}.fc1")
            yield from norms(f"{mine}.mlp.down", f"{other}.fc2")
            yield from norms(f"{mine}.mlp_post", f"{other}.final_layer_norm")


FAMILY = Family(
    model_type="marian",
    architecture="MarianMTModel",
    read=_read,
    write=_write,
    links=_links,
    config=EncoderDecoder,
    auto="AutoModelForSeq2SeqLM",
    ignored=(
        "embed_tokens.weight",
        "embed_positions.weight",
        "model.encoder.embed_positions.weight",
        "lm_head.weight",
    ),
)
