"""Mamba-2 (Dao and Gu 2024): no attention and no MLP, but in every block a mixer with a state of
constant size. What it costs grows with the length of the text, not with its square.
"""

import math
from collections.abc import Iterator
from typing import Any

from groundup.layers import Mamba2, NoPE, RMSNorm
from groundup.models.decoder import Decoder
from groundup.models.huggingface import (
    Family,
    Link,
    Settings,
    blocks,
    expect,
    of_kind,
    same,
    with_axis,
)

_ENDLESS = 1 << 20  # tokens; there is no longest sequence


def mamba2(
    *, width: int, depth: int, vocab_size: int = 50_288, head_width: int = 64, state: int = 128
) -> Decoder:
    """A Mamba-2 of the given sizes; the inner width is twice the model's."""
    return Decoder(
        vocab_size=vocab_size,
        context=_ENDLESS,
        width=width,
        depth=depth,
        attention=Mamba2(
            heads=2 * width // head_width, head_width=head_width, state=state, chunk=256
        ),
        mlp=None,
        norm=RMSNorm(eps=1e-5),
        position=NoPE(),
        tied=True,
    )


PRESETS: dict[str, Decoder] = {
    "mamba2-130m": mamba2(width=768, depth=24),
    "mamba2-370m": mamba2(width=1024, depth=48),
    "mamba2-780m": mamba2(width=1536, depth=48),
    "mamba2-1.3b": mamba2(width=2048, depth=48),
    "mamba2-2.7b": mamba2(width=2560, depth=64),
}


def _read(settings: Settings) -> Decoder:
    expect(settings, hidden_act="silu", rms_norm=True)
    least, most = map(_number, settings.get("time_step_limit") or (0.0, math.inf))
    inner = settings["num_heads"] * settings["head_dim"]
    if inner != int(settings.get("expand", 2) * settings["hidden_size"]):
        raise ValueError(f"num_heads · head_dim ({inner}) must be expand · hidden_size")
    return Decoder(
        vocab_size=settings["vocab_size"],
        context=settings.get("max_position_embeddings", _ENDLESS),
        width=settings["hidden_size"],
        depth=settings["num_hidden_layers"],
        attention=Mamba2(
            heads=settings["num_heads"],
            head_width=settings["head_dim"],
            state=settings["state_size"],
            groups=settings.get("n_groups", 8),
            convolution=settings.get("conv_kernel", 4),
            chunk=settings.get("chunk_size", 256),
            eps=settings.get("layer_norm_epsilon", 1e-5),
            bias=settings.get("use_bias", False),
            convolution_bias=settings.get("use_conv_bias", True),
            least_step=least,
            most_step=None if most == math.inf else most,
        ),
        mlp=None,
        norm=RMSNorm(eps=settings.get("layer_norm_epsilon", 1e-5)),
        position=NoPE(),
        tied=settings.get("tie_word_embeddings", False),
    )


def _number(value: Any) -> float:
    """JSON has no infinity; `transformers` writes it as an object."""
    return float(value["__float__"]) if isinstance(value, dict) else float(value)


def _write(config: Decoder) -> dict[str, Any]:
    mixer = of_kind(Mamba2, config.attention_of(0))
    limits: dict[str, Any] = {}
    if (mixer.least_step, mixer.most_step) != (0.0, None):
        most = {"__float__": "Infinity"} if mixer.most_step is None else mixer.most_step
        limits["time_step_limit"] = [mixer.least_step, most]
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_heads": mixer.heads,
        "head_dim": mixer.head_width,
        "expand": mixer.inner // config.width,
        "state_size": mixer.state,
        "n_groups": mixer.groups,
        "conv_kernel": mixer.convolution,
        "chunk_size": mixer.chunk,
        "layer_norm_epsilon": of_kind(RMSNorm, config.norm).eps,
        "use_bias": mixer.bias,
        "use_conv_bias": mixer.convolution_bias,
        **limits,
        "hidden_act": "silu",
        "rms_norm": True,
        "tie_word_embeddings": config.tied,
    }


def _links(config: Decoder) -> Iterator[Link]:
    yield same("embedding.weight", "backbone.embeddings.weight")
    yield same("readout.norm.weight", "backbone.norm_f.weight")
    if not config.tied:
        yield same("readout.head.weight", "lm_head.weight")
    for layer, ours in blocks(config):
        theirs = f"backbone.layers.{layer}"
        yield same(f"{ours}.attention_norm.weight", f"{theirs}.norm.weight")
        yield with_axis(f"{ours}.attention.convolution.weight", f"{theirs}.mixer.conv1d.weight", 1)
        for part, name in (
            ("input.weight", "in_proj.weight"),
            ("input.bias", "in_proj.bias"),
            ("convolution.bias", "conv1d.bias"),
            ("step_bias", "dt_bias"),
            ("log_rate", "A_log"),
            ("skip", "D"),
            ("norm", "norm.weight"),
            ("output.weight", "out_proj.weight"),
            ("output.bias", "out_proj.bias"),
        ):
            yield same(f"{ours}.attention.{part}", f"{theirs}.mixer.{name}")


FAMILY = Family(
    model_type="mamba2",
    architecture="Mamba2ForCausalLM",
    read=_read,
    write=_write,
    links=_links,
    prefix="backbone.",
    ignored=(),
)
