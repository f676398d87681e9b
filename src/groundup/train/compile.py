"""Compile a model's parts from outside, where it pays: many training steps of one shape.

Blocks are compiled one by one, not the model as a whole: they share one shape, so the compiler
works once for all of them (18 s less on two cores for a model of 8 blocks, for 5 % of the speed).
"""

import shutil
from contextlib import AbstractContextManager

import torch

from groundup.core.device import Device
from groundup.kernels import cpu
from groundup.layers import GLU, GroupedQuery, Learned, NoPE, RMSNorm, RoPE, Sinusoidal
from groundup.models import Decoder, LanguageModel, RecurrentLM


def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` has what it needs: on a CPU, a C++ compiler."""
    return device.type != "cpu" or any(map(shutil.which, ("c++", "g++", "clang++")))


def worth_compiling(model: Decoder | RecurrentLM, device: Device) -> bool:
    """Whether compiling can be done, and can be worth its time."""
    return can_compile(device.device) and not core_fuses(model, device)


def core_fuses(model: Decoder | RecurrentLM, device: Device) -> bool:
    """Whether the compiled core (`kernels.cpu`) has the parts that the compiler would fuse: such a
    model is as fast without being compiled (docs/benchmarks/train.md)."""
    if not (cpu.HAS_LOOPS and device.device.type == "cpu" and isinstance(model, Decoder)):
        return False
    layers = range(model.depth)
    return (
        device.compute_dtype in (torch.float32, torch.bfloat16)
        and isinstance(model.norm, RMSNorm)
        and model.logit_softcap is None
        and all(_fuses_attention(model.attention_of(layer)) for layer in layers)
        and all(_fuses_position(model.position_of(layer)) for layer in layers)
        and all(_fuses_mlp(model.mlp_of(layer)) for layer in layers)
    )


def _fuses_attention(attention: object) -> bool:
    if not isinstance(attention, GroupedQuery):
        return False
    norm = attention.query_key_norm
    return (
        attention.softcap is None
        and not attention.sinks
        and attention.head_width <= cpu.WIDEST
        and (norm is None or (isinstance(norm, RMSNorm) and not norm.bias))
    )


def _fuses_position(position: object) -> bool:
    turned = isinstance(position, RoPE) and not position.interleaved
    return turned or isinstance(position, NoPE | Learned | Sinusoidal)


def _fuses_mlp(mlp: object) -> bool:
    return mlp is None or (isinstance(mlp, GLU) and mlp.activation == "silu")


def compile_model(model: LanguageModel) -> None:
    """Compile blocks and readout in place; the first step then takes tens of seconds.

    Weights, their names and the results (up to rounding) stay as they are. Run anything of another
    shape, validation for one, under `eagerly()`, or it is compiled again.
    """
    for part in model.compiled_parts():
        part.compile(dynamic=False)


def eagerly() -> AbstractContextManager[object]:
    """A context in which compiled modules run as plain PyTorch."""
    return torch.compiler.set_stance("force_eager")
