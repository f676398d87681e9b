"""What bounds an operation: how fast a device moves bytes, or multiplies matrices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import torch

from groundup.core.device import Device

Unit = Literal["GB/s", "TFLOP/s"]
ONE: dict[Unit, float] = {"GB/s": 1e9, "TFLOP/s": 1e12}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Work at the device's best rate. work: of a run: bytes read and written, or FLOPs."""

    name: str
    run: Callable[[], object]
    work: float
    unit: Unit

    def reported(self, rates: Sequence[float]) -> dict[str, Any]:
        """As a result names it: the median of rates in bytes or FLOPs a second."""
        return {"name": self.name, "value": median(rates) / ONE[self.unit], "unit": self.unit}


def memory_in_place(device: Device) -> Limit:
    """An operation in place on an array that no cache holds. (A CPU's copy is slower: what it
    overwrites is first fetched.)"""
    array = torch.ones(1 << 26, device=device.device)
    moved = 2 * array.numel() * array.element_size()
    return Limit(name="memory, in place", run=array.neg_, work=moved, unit="GB/s")


def memory_copied(device: Device, size: int) -> Limit:
    """A copy of `size` bytes."""
    source = torch.ones(size, dtype=torch.uint8, device=device.device)
    target = torch.empty_like(source)
    return Limit(
        name="memory, copied", run=lambda: target.copy_(source), work=2 * size, unit="GB/s"
    )


def matrix_product(device: Device, size: int) -> Limit:
    """Of two square matrices in the compute format."""
    a, b = torch.randn(2, size, size, device=device.device).to(device.compute_dtype)
    out = torch.empty_like(a)
    return Limit(
        name="matrix product",
        run=lambda: torch.mm(a, b, out=out),
        work=2 * size**3,
        unit="TFLOP/s",
    )
