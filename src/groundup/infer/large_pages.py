"""Weights, keys and values on pages of 2 MiB, in memory that goes back to the system.

A pass over few tokens reads all weights, as fast as memory gives them. On pages of 4 KiB a
processor looks up an address for every 64 lines that it reads, and what it reads ahead ends at each
page.
"""

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

_PAGE, _LINE = 1 << 21, 64
_LEAST = 32 << 20  # bytes that are asked for at once; what is not used is never touched


def fresh(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor that nothing was written to. On such pages it takes no memory until it is, and gives
    it back when it goes: one that the allocator keeps would leave touched pages wherever it stood.
    """
    count = math.prod(shape)
    if device.type == "cpu" and count and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # memory is counted strictly here
            return _mapped(count * dtype.itemsize).view(dtype).view(*shape)
    return torch.empty(*shape, dtype=dtype, device=device)


class LargePages:
    """Room for tensors that stay where they are, one behind the other."""

    def __init__(self) -> None:
        self._room: Tensor | None = None  # uint8
        self._used = 0

    def keep(self, tensor: Tensor) -> Tensor:
        """A dense copy that stands there; the tensor itself on other devices, on systems that
        cannot be asked for such pages, and where there is no room for them. Where they are asked in
        vain, the copy stands on small ones."""
        if tensor.device.type != "cpu" or not hasattr(mmap, "MADV_HUGEPAGE"):
            return tensor
        size = -(-tensor.nbytes // _LINE) * _LINE
        if self._room is None or self._used + size > len(self._room):
            try:
                self._room, self._used = _mapped(max(size, _LEAST)), 0
            except OSError:  # memory is counted strictly here
                return tensor
        place = self._room[self._used : self._used + tensor.nbytes]
        self._used += size
        return place.view(tensor.dtype).view(tensor.shape).copy_(tensor)


def _mapped(size: int) -> Tensor:
    """Fresh memory, which begins with a page."""
    memory = mmap.mmap(-1, size + _PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel that was built without
        memory.madvise(mmap.MADV_HUGEPAGE)
    whole = torch.frombuffer(memory, dtype=torch.uint8)
    begin = -whole.data_ptr() % _PAGE
    return whole[begin : begin + size]
