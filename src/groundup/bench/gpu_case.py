"""What `bench.gpu_kernels` measures of an operation, and at which sizes."""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from groundup.bench.limits import Unit
from groundup.core.device import Device

Operation = Callable[..., Tensor | tuple[Tensor, ...]]
FUSED = "torch, fused"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured: at sizes of models of some billion weights.

    elements: of the norms' inputs, whatever their `widths`. rows: of the gate's inputs, which are
    `hidden` wide, of rotations and of grouped products. lengths: of sequences, `tokens` in all.
    width: of the model, whose heads are as wide as one of `head_widths` says. window, document:
    tokens. copied: bytes. product: the side of the matrices whose product is the limit.
    compiled: the formulas by `torch.compile`, too.
    """

    elements: int = 1 << 27
    widths: tuple[int, ...] = (1024, 2048, 4096, 8192, 16384)
    rows: tuple[int, ...] = (4096, 16384, 65536)
    hidden: int = 8192
    lengths: tuple[int, ...] = (1024, 2048, 4096, 8192, 16384)
    tokens: int = 16384
    width: int = 2048
    head_widths: tuple[int, ...] = (64, 128)
    window: int = 1024
    document: int = 1000
    vocabularies: tuple[int, ...] = (1 << 15, 1 << 17)
    experts: int = 64
    copied: int = 1 << 30
    product: int = 8192
    rounds: int = 15
    compiled: bool = True

    def heads(self, head_width: int) -> tuple[int, int]:
        """Of queries and of keys, which four of those share."""
        heads = self.width // head_width
        return heads, max(1, heads // 4)


FULL = Scale()
QUICK = Scale(
    widths=(1024, 4096),
    rows=(4096, 16384),
    lengths=(1024, 4096),
    rounds=5,
    compiled=False,
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operation at a size. inputs: those that have gradients. peers: others' of the same result.
    work: of forward, and of forward and backward: FLOPs where the unit is of them, else bytes read
    and written; what it cannot do without, whatever a subject does.
    """

    operation: str
    shape: str
    axis: str
    size: int
    inputs: tuple[Tensor, ...]
    ours: Operation
    formula: Operation
    peers: dict[str, Operation] = field(default_factory=dict)
    unit: Unit
    work: tuple[float, float]


def results(operation: Operation, inputs: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Always as a tuple."""
    found = operation(*inputs)
    return (found,) if isinstance(found, Tensor) else found


def normal(device: Device, *shape: int) -> Tensor:
    """Numbers in the format that is measured."""
    return torch.randn(shape, device=device.device, dtype=device.compute_dtype)


def liger(name: str, peer: Callable[[Callable[..., Any]], Operation]) -> dict[str, Operation]:
    """Liger-Kernel's function of that name as a peer, where it is installed and has one."""
    if find_spec("liger_kernel") is None:
        return {}
    functions = importlib.import_module("liger_kernel.transformers.functional")
    return {"Liger-Kernel": peer(getattr(functions, name))} if hasattr(functions, name) else {}
