"""The fused operations of a training step on a CPU, forward and backward, beside PyTorch's own and
beside its compiler's; and beside the memory's own time: what each must read and write, at the rate
of an operation in place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.bench.limits import memory_in_place
from groundup.bench.result import OURS, machine_is_idle, versions
from groundup.bench.turns import beside, rate_rows, rows_beside_memory
from groundup.core.device import Device, tune_cpu
from groundup.core.errors import InputError
from groundup.kernels import cpu
from groundup.layers import RMSNorm, RoPE
from groundup.layers.attend import causal_mask
from groundup.layers.heads import split_heads
from groundup.layers.shift import HeadShift
from groundup.train.compile import can_compile
from groundup.train.probe import machine_description

_FORMATS = (torch.float32, torch.bfloat16)
_CPU = torch.device("cpu")
Operation = Callable[..., Tensor]


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operation on tensors of a shape. inputs: those that have gradients, of the format that is
    measured. formula: in PyTorch's operations, unless the core takes its tensors. crossings: how
    often the numbers of the first are read or written, forward and backward together.
    """

    operation: str
    shape: str
    inputs: Callable[[], tuple[Tensor, ...]]
    ours: Operation
    formula: Operation
    crossings: float


def bench_kernels(*, quick: bool) -> dict[str, Any]:
    """The result: milliseconds forward and backward, the rate of what must be read and written, and
    how often the memory's time.

    quick: smaller inputs, without the compiler. Raises `InputError` without the compiled core.
    """
    if not cpu.HAS_LOOPS:
        raise InputError(
            "groundup's compiled core has no loops for this processor, and they are what this "
            "measures: install GCC 10 or newer on a processor with AVX2, then reinstall groundup."
        )
    tune_cpu()
    idle = machine_is_idle()
    device = Device(_CPU, torch.float32)
    limit = memory_in_place(device)
    rows, rates = [], []
    for case in _cases(quick=quick):
        torch.compiler.reset()  # it gives up on a formula that it has compiled for eight shapes
        for dtype in _FORMATS:
            format = str(dtype).removeprefix("torch.")
            name = f"{case.operation}, {case.shape}, {format}"
            inputs = [x.to(dtype).requires_grad_() for x in case.inputs()]
            moved = case.crossings * inputs[0].numel() * dtype.itemsize
            subjects = {OURS: case.ours, "torch": _plainly(case.formula)}
            if not quick and can_compile(_CPU):
                subjects["torch.compile"] = torch.compile(case.formula, dynamic=False)
            passes = {subject: _both_passes(f, inputs) for subject, f in subjects.items()}
            times, memory = beside(limit, passes, moved, 3 if quick else 15, device)
            rows += rows_beside_memory(name, "both passes", times, memory)
            rows += rate_rows(
                name,
                {**times, limit.name: memory},
                moved,
                limit.unit,
                operation=f"{case.operation}, {format}",
                axis="numbers (rows × row length)",
                size=inputs[0].numel(),
            )
            rates += [moved / seconds for seconds in memory]
    return {
        "bench": "kernels",
        "machine": machine_description(device),
        "versions": versions("groundup", "torch"),
        "idle": idle,
        "rows": rows,
        "limits": [limit.reported(rates)],
    }


def _both_passes(operation: Operation, inputs: list[Tensor]) -> Callable[[], object]:
    with torch.no_grad():
        dy = torch.randn_like(operation(*inputs))

    def run() -> None:
        torch.autograd.grad(operation(*inputs), inputs, dy)

    return run


def _cases(*, quick: bool) -> list[Case]:
    """At sizes of models of some hundred million weights; two operations from what the caches hold
    to what they do not."""
    tokens, width, heads, vocabulary = (512, 512, 4, 4000) if quick else (4096, 1024, 8, 32000)
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(vocabulary, (tokens // 2,), generator=generator)
    T, K = 256, 64
    rotation = RoPE().build(K)(torch.arange(T))
    shift = HeadShift(heads, share=0.5)
    norm = RMSNorm().build(K)
    later = ~causal_mask(T, T, _CPU)

    def normal(*shape: int) -> Callable[[int], tuple[Tensor, ...]]:
        return lambda count: tuple(torch.randn(shape, generator=generator) for _ in range(count))

    def of_heads(x: Tensor) -> Tensor:
        return split_heads(x, norm, rotation=rotation, shift=shift)

    def softmax(x: Tensor) -> Tensor:
        return (x * K**-0.5).masked_fill(later, float("-inf")).softmax(-1)

    def norm_of(rows: int) -> Case:
        return Case(
            operation="RMSNorm",
            shape=f"{rows} × {width}",
            inputs=lambda: (*normal(rows, width)(1), *normal(width)(1)),
            ours=lambda x, w: cpu.rms_norm(x, w, 1e-6),
            formula=lambda x, w: F.rms_norm(x, w.shape, w, 1e-6),
            crossings=5,
        )

    def cross_entropy_of(rows: int) -> Case:
        wanted = targets[:rows]
        return Case(
            operation="cross-entropy",
            shape=f"{rows} × {vocabulary}",
            inputs=lambda: normal(rows, vocabulary)(1),
            ours=lambda x: cpu.cross_entropies(x, wanted),
            formula=lambda x: F.cross_entropy(x.float(), wanted, reduction="none"),
            crossings=3,
        )

    return [
        *map(norm_of, (tokens // 16, tokens // 4, tokens, 4 * tokens)),
        *map(cross_entropy_of, (tokens // 128, tokens // 32, tokens // 8, tokens // 2)),
        Case(
            operation="SwiGLU's gate",
            shape=f"{tokens} × {3 * width}",
            inputs=lambda: normal(tokens, 3 * width)(2),
            ours=cpu.silu_gate,
            formula=lambda g, u: F.silu(g) * u,
            crossings=8,
        ),
        Case(
            operation="causal softmax",
            shape=f"{16 * heads} × {T} × {T}",
            inputs=lambda: normal(16, heads, T, T)(1),
            ours=lambda x: cpu.softmax(x, scale=K**-0.5),
            formula=softmax,
            crossings=3.5,  # half of what is read is not seen
        ),
        Case(
            operation="shift, norm and rotation",
            shape=f"16 × {T} × {heads} heads of {K}",
            inputs=lambda: normal(16, T, heads, K)(1),
            ours=of_heads,
            formula=of_heads,
            crossings=5,
        ),
        Case(
            operation="dropout",
            shape=f"{tokens} × {width}",
            inputs=lambda: normal(tokens, width)(1),
            ours=lambda x: cpu.dropout(x, 0.1),
            formula=lambda x: F.dropout(x, 0.1),
            crossings=4,
        ),
    ]


def _plainly(operation: Operation) -> Operation:
    def run(*inputs: Tensor) -> Tensor:
        with cpu.without_core():
            return operation(*inputs)

    return run
