"""One optimizer step of ten million weights beside torch's and beside the memory's own time: what
an element-wise update must read and write, at the rate of an operation in place.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from groundup.bench.limits import memory_in_place
from groundup.bench.result import OURS, machine_is_idle, row, versions
from groundup.bench.turns import beside, in_turns, rows_beside_memory
from groundup.core.device import Device, select_device, tune_cpu
from groundup.optim import SOAP, Adam, AdamW, Lion, Muon, ScheduleFreeAdamW
from groundup.optim.optimizer import OptimizerConfig
from groundup.train.probe import machine_description

_SHAPE, _COUNT = (1024, 1024), 10
_METRIC = "a step"
_RATE, _BETAS, _DECAY = 1e-3, (0.9, 0.95), 0.1

# The optimizer, and how often an element's four bytes are read or written.
# AdamW reads weight, gradient and two moments, and writes all but the gradient.
_ELEMENTWISE: dict[str, tuple[OptimizerConfig, int]] = {
    "AdamW": (AdamW(lr=_RATE, betas=_BETAS, decay=_DECAY), 7),
    "Adam": (Adam(lr=_RATE, betas=_BETAS), 7),
    "Lion": (Lion(lr=_RATE), 5),
    "ScheduleFreeAdamW": (ScheduleFreeAdamW(lr=_RATE), 7),
}
_MATRIX: dict[str, OptimizerConfig] = {"Muon": Muon(lr=_RATE), "SOAP": SOAP(lr=_RATE)}


def bench_optimizers(*, quick: bool) -> dict[str, Any]:
    """The result: milliseconds a step; of element-wise ones how often the memory's time, too."""
    tune_cpu()
    device, idle = select_device(), machine_is_idle()
    limit = memory_in_place(device)
    rounds, size = (3, 2) if quick else (51, _COUNT)
    weights = size * _SHAPE[0] * _SHAPE[1]
    rows, rates = [], []
    for name, (config, crossings) in _ELEMENTWISE.items():
        case = f"{name}, {weights / 1e6:.3g} M weights"
        moved = 4 * crossings * weights
        subjects = _subjects(name, config, size, device)
        times, memory = beside(limit, subjects, moved, rounds, device)
        rows += rows_beside_memory(case, _METRIC, times, memory)
        rates += [moved / seconds for seconds in memory]
    for name, config in _MATRIX.items():
        case = f"{name}, {weights / 1e6:.3g} M weights in {size} matrices"
        step = {OURS: _ours(config, size, device)}
        times = [1e3 * seconds for seconds in in_turns(step, min(rounds, 5), device)[OURS]]
        rows.append(row(case, OURS, _METRIC, "ms", times, higher=False))
    return {
        "bench": "optimizers",
        "machine": machine_description(device),
        "versions": versions("groundup", "torch"),
        "idle": idle,
        "rows": rows,
        "limits": [limit.reported(rates)],
    }


def _subjects(
    name: str, config: OptimizerConfig, size: int, device: Device
) -> dict[str, Callable[[], object]]:
    subjects = {OURS: _ours(config, size, device)}
    if name in ("Adam", "AdamW"):
        kind = getattr(torch.optim, name)
        decay = {"weight_decay": _DECAY} if name == "AdamW" else {}
        for label, how in (("fused", "fused"), ("loop", "")):
            parameters = _parameters(size, device)
            more = {how: True} if how else {"foreach": False}
            optimizer = kind(parameters, lr=_RATE, betas=_BETAS, **decay, **more)
            subjects[f"torch, {label}"] = optimizer.step
    return subjects


def _ours(config: OptimizerConfig, size: int, device: Device) -> Callable[[], object]:
    parameters = _parameters(size, device)
    state = config.build({f"blocks.{i}": p for i, p in enumerate(parameters)})

    def step() -> None:
        with device.autocast():
            state.step(1.0)

    return step


def _parameters(size: int, device: Device) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    parameters = []
    for _ in range(size):
        weight, grad = torch.randn(2, *_SHAPE, generator=generator).to(device.device)
        weight.requires_grad_().grad = grad
        parameters.append(weight)
    return parameters
