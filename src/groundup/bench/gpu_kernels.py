"""Our Triton kernels, forward and with gradients, beside PyTorch's operations, its compiler's and
Liger-Kernel's; and beside what the GPU can do: copy memory, or multiply matrices.

All take turns, so that they see the same clocks, and none finds its inputs in the L2 cache.
"""

from collections.abc import Callable, Collection, Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from groundup.bench import gpu_bytes, gpu_products
from groundup.bench.gpu_case import Case, Operation, Scale, results
from groundup.bench.limits import Limit, Unit, matrix_product, memory_copied
from groundup.bench.result import OURS, announce, machine_is_idle, row, versions
from groundup.bench.turns import beside, rate_rows
from groundup.core.device import Device
from groundup.core.progress import make_console
from groundup.train.probe import machine_description, wait

Pass = Callable[[], object]


def bench_gpu_kernels(device: Device, scale: Scale, only: Collection[str] = ()) -> dict[str, Any]:
    """The result: of each operation milliseconds, the rate of the work that it needs, the share of
    what the GPU can do of it, and the peak of memory besides inputs. `absent` has what could not be
    measured, and why. only: operations that have one of these words in their names.

    The device's format is measured. On a CPU, where Triton interprets the kernels, no memory is.
    """
    console, idle = make_console(), machine_is_idle()
    limits: dict[Unit, Limit] = {
        "GB/s": memory_copied(device, scale.copied),
        "TFLOP/s": matrix_product(device, scale.product),
    }
    rates: dict[Unit, list[float]] = {unit: [] for unit in limits}
    rows, absent = [], []
    for case in _cases(device, scale):
        if only and not any(word.lower() in case.operation.lower() for word in only):
            continue
        torch.compiler.reset()  # it gives up on a formula that it has compiled for eight shapes
        subjects, limit = _subjects(case, scale), limits[case.unit]
        for kind, make, work in zip(
            ("forward", "both passes"), (_forward, _both_passes), case.work, strict=True
        ):
            name = f"{case.operation}, {kind}, {case.shape}"
            passes, peaks, failed = _prepared(make, subjects, case.inputs, device)
            absent += [f"{name}: {subject}: {reason}" for subject, reason in failed.items()]
            times, bounds = beside(limit, passes, work, scale.rounds, device)
            rates[case.unit] += [work / seconds for seconds in bounds]
            rows += _time_rows(name, times)
            reached = rate_rows(
                name,
                {**times, limit.name: bounds},
                work,
                case.unit,
                operation=f"{case.operation}, {kind}",
                axis=case.axis,
                size=case.size,
            )
            for found in reached:
                announce(console, found)
            rows += reached
            rows += _share_rows(name, times, bounds)
            rows += _memory_rows(name, peaks)
    return {
        "bench": "kernels",
        "machine": machine_description(device),
        "versions": versions("groundup", "torch", "triton", "liger-kernel"),
        "idle": idle,
        "rows": rows,
        "limits": [limit.reported(rates[unit]) for unit, limit in limits.items() if rates[unit]],
        "absent": absent,
    }


def _cases(device: Device, scale: Scale) -> Iterable[Case]:
    return chain(gpu_bytes.cases(device, scale), gpu_products.cases(device, scale))


def _subjects(case: Case, scale: Scale) -> dict[str, Operation]:
    compiled = {}
    if scale.compiled:
        formula = torch.compile(case.formula, dynamic=False, fullgraph=True)
        compiled = {"torch.compile": formula}
    return {OURS: case.ours, "torch": case.formula, **compiled, **case.peers}


def _prepared(
    make: Callable[[Operation, list[Tensor]], Pass],
    subjects: dict[str, Operation],
    inputs: tuple[Tensor, ...],
    device: Device,
) -> tuple[dict[str, Pass], dict[str, int], dict[str, str]]:
    """The passes of those subjects that can run, which have run once; on a GPU the most bytes that
    each holds at a time besides its inputs and the result's gradient; and why the others cannot, as
    one must not cost the measurements of all.

    Each has inputs of its own, since some write theirs over.
    """
    passes: dict[str, Pass] = {}
    peaks: dict[str, int] = {}
    failed: dict[str, str] = {}
    for subject, operation in subjects.items():
        try:
            run = make(operation, [x.clone().requires_grad_() for x in inputs])
            run()  # compiles
            if device.device.type == "cuda":
                peaks[subject] = _peak(run, device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            failed[subject] = "does not fit into memory"
            continue
        except Exception as error:  # a compiler's, a library's of another version, a kernel's
            failed[subject] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            continue
        passes[subject] = run
    return passes, peaks, failed


def _forward(operation: Operation, inputs: list[Tensor]) -> Pass:
    return torch.no_grad()(lambda: operation(*inputs))


def _both_passes(operation: Operation, inputs: list[Tensor]) -> Pass:
    with torch.no_grad():
        grads = [torch.randn_like(y) for y in results(operation, inputs)]
    return lambda: torch.autograd.grad(results(operation, inputs), inputs, grads)


def _peak(run: Pass, device: Device) -> int:
    wait(device)
    torch.cuda.reset_peak_memory_stats(device.device)
    before = torch.cuda.memory_allocated(device.device)
    run()
    wait(device)
    return torch.cuda.max_memory_allocated(device.device) - before


def _time_rows(case: str, times: dict[str, list[float]]) -> list[dict[str, Any]]:
    return [
        row(case, subject, "time", "ms", [1e3 * seconds for seconds in taken], higher=False)
        for subject, taken in times.items()
    ]


def _share_rows(
    case: str, times: dict[str, list[float]], bounds: list[float]
) -> list[dict[str, Any]]:
    """Of the limit's rate in the same round."""
    rows = []
    for subject, taken in times.items():
        shares = [bound / seconds for bound, seconds in zip(bounds, taken, strict=True)]
        rows.append(row(case, subject, "of the limit", "", shares, higher=True))
    return rows


def _memory_rows(case: str, peaks: dict[str, int]) -> list[dict[str, Any]]:
    return [
        row(case, subject, "peak memory", "MB", [peak / 1e6], higher=False)
        for subject, peak in peaks.items()
    ]
