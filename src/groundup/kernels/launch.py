"""What every kernel needs to be compiled and launched; and Triton itself, which may be missing."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from groundup.core.errors import InputError, MissingExtraError

try:
    import triton
    import triton.language as tl
    from triton import knobs
except ImportError as error:
    raise MissingExtraError("A kernel", "triton") from error

__all__ = [
    "Impl",
    "as_autocast",
    "check_device",
    "jit",
    "of_length",
    "power_of_two",
    "precision",
    "processors",
    "tl",
]

Impl = Literal["reference", "triton"]

jit: Any = triton.jit  # its types know nothing of `num_warps`


def check_device(impl: Impl, x: Tensor) -> None:
    """Raises `InputError` where a kernel is asked for on a device that cannot run it."""
    if impl == "triton" and not x.is_cuda and not knobs.runtime.interpret:
        raise InputError(
            f"impl='triton' needs a GPU, and the tensors are on {x.device}: choose "
            "impl='reference', or set TRITON_INTERPRET=1 to try the kernel, slowly, on a CPU."
        )


def as_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in autocast's format where it is on, as PyTorch's own products take them."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(kind)) for tensor in tensors)


def precision() -> str:
    """Of products in float32, as `torch.set_float32_matmul_precision` asks of PyTorch's own."""
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


@cache
def processors(device: torch.device) -> int:
    """Multiprocessors of a GPU; 1 for the interpreter."""
    if device.type != "cuda":
        return 1
    return torch.cuda.get_device_properties(device).multi_processor_count


def power_of_two(size: int) -> int:
    """The smallest that is at least `size`: the lengths of a kernel's arrays."""
    return 1 << (size - 1).bit_length()


def of_length(table: Mapping[int, tuple[int, ...]], length: int) -> tuple[int, ...]:
    """What a table of launches says of rows of a length, a power of two: rows that a program holds,
    and whatever else. Shorter rows than the table's are taken as many at a time as fill its
    shortest; longer ones as its longest.
    """
    shortest, longest = min(table), max(table)
    rows, *rest = table[min(max(length, shortest), longest)]
    return (rows * max(1, shortest // length), *rest)
