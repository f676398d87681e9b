"""Compile a model's parts from outside, where it pays: many training steps of one shape.

Blocks are compiled one by one, not the model as a whole: they share one shape, so the compiler
works once for all of them (18 s less on two cores for a model of 8 blocks, for 5 % of the speed).
"""

import shutil
from contextlib import AbstractContextManager

import torch

from groundup.models import LanguageModel


def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` has what it needs: on a CPU, a C++ compiler."""
    return device.type != "cpu" or any(map(shutil.which, ("c++", "g++", "clang++")))


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
