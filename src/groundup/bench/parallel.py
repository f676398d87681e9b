"""A training step of two and more processes on this machine, whichever way they share it, beside
PyTorch's: DistributedDataParallel, ZeroRedundancyOptimizer and fully_shard.

All subjects take their steps in turns in the same processes, with a barrier before each. What a
process sends is counted by the kernel, and set beside the formulas of `groundup.parallel`.
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from groundup.bench.cut_models import bench_cut_models
from groundup.bench.exchanges import bench_exchanges, limits, sum_rate
from groundup.bench.overlap import overlap
from groundup.bench.race import race
from groundup.bench.result import OURS, machine_is_idle, row, versions
from groundup.bench.sent import COUNTED
from groundup.core.device import Device, tune_cpu
from groundup.core.processes import Group
from groundup.core.spawn import Workers
from groundup.models import Decoder, DecoderModel
from groundup.optim import AdamW
from groundup.parallel.parallelism import Parallelism
from groundup.scaling.plan import decoder_of_size
from groundup.train.probe import machine_description

_SIZES = (2, 4)
_RATE, _BETAS = 1e-3, (0.9, 0.95)
_ALONE = "no exchange"
_DATA, _STATE, _WEIGHTS = "data parallel", "sharded optimizer", "sharded weights"
_FLAT = f"{OURS}, all at the end"


@dataclass(frozen=True)
class Setting:
    """batch: rows of each process. rounds: steps of each subject that are timed."""

    model: Decoder
    batch: int
    rounds: int


@dataclass(frozen=True)
class Measured:
    """Of a subject in one process: seconds of its steps, bytes that it sends in one, those of the
    formula, bytes of optimizer state, and the share of its exchanges in which it computes."""

    seconds: list[float]
    sent: int
    formula: float | None
    state: int | None
    overlap: float | None


def bench_parallel(*, quick: bool) -> dict[str, Any]:
    """The result: steps, and exchanges over sizes. quick: two processes, a smaller model and fewer
    steps."""
    tune_cpu()
    idle = machine_is_idle()
    size = 2 if quick else 5
    setting = Setting(
        decoder_of_size(size, 4096, context=256), 2 if quick else 4, 3 if quick else 11
    )
    rows, exchanges = [], []
    for count in _SIZES[: 1 if quick else None]:
        with Workers(count) as workers:
            of_processes = workers.run(_race, setting)
            if count == _SIZES[0]:
                exchanges = bench_exchanges(workers, quick=quick)
        by_subject = _by_subject(of_processes)
        # A step is over when the last process is through with it.
        last = {
            key: [max(times) for times in zip(*(r.seconds for r in results), strict=True)]
            for key, results in by_subject.items()
        }
        for (case, subject), results in by_subject.items():
            name = f"{case}, {count} processes"
            milliseconds = [1e3 * seconds for seconds in last[case, subject]]
            rows.append(row(name, subject, "a step", "ms", milliseconds, higher=False))
            if results[0].overlap is not None:
                shares = [r.overlap or 0.0 for r in results]
                rows.append(row(name, subject, "overlap", "", shares, higher=True))
            if COUNTED and subject != _ALONE:
                sent = [sum(r.sent for r in results) / count / 1e6]
                rows.append(row(name, subject, "sent", "MB", sent, higher=False))
            if results[0].formula is not None:
                formula = [results[0].formula / 1e6]
                rows.append(row(name, subject, "by the formula", "MB", formula, higher=False))
            if results[0].state is not None:
                state = [max(r.state or 0 for r in results) / 1e6]
                rows.append(row(name, subject, "optimizer state", "MB", state, higher=False))
        # The planner knows processes that have a core each.
        own_cores = count <= (os.cpu_count() or 1)
        rate = sum_rate(exchanges) if own_cores else None
        rows += bench_cut_models(count, quick=quick, exchanged=rate)
    return {
        "bench": "parallel",
        "machine": machine_description(Device(torch.device("cpu"), torch.float32)),
        "versions": versions("groundup", "torch"),
        "idle": idle,
        "rows": rows + exchanges,
        "limits": limits(exchanges),
    }


class _Loss(nn.Module):
    """A model whose output is its loss: what PyTorch's wrappers wrap."""

    def __init__(self, model: DecoderModel):
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model.losses(tokens[:, :-1], tokens[:, 1:], implementation="training").mean()


Step = Callable[[Tensor], None]
Subject = tuple[Step, float | None, int | None]  # with the formula's bytes, and those of its state


def _race(group: Group, setting: Setting) -> dict[tuple[str, str], Measured]:
    """All subjects in one process of the group."""
    subjects = _subjects(group, setting.model)
    shape = (setting.batch, setting.model.context + 1)
    generator = torch.Generator().manual_seed(group.rank)
    tokens = torch.randint(setting.model.vocab_size, shape, generator=generator)
    steps = {name: partial(step, tokens) for name, (step, _, _) in subjects.items()}
    raced = race(group, steps, setting.rounds)
    return {
        name: Measured(*raced[name], formula, state, overlap(steps[name]))
        for name, (_, formula, state) in subjects.items()
    }


def _subjects(group: Group, config: Decoder) -> dict[tuple[str, str], Subject]:
    def fresh() -> DecoderModel:
        return config.build(seed=0)

    return {
        (_DATA, OURS): _ours(fresh(), group, Parallelism()),
        (_DATA, _FLAT): _ours(fresh(), group, Parallelism(averaging="flat")),
        (_DATA, f"{OURS}, one by one"): _ours(fresh(), group, Parallelism(averaging="one by one")),
        (_DATA, "torch DDP"): _ddp(fresh()),
        (_DATA, _ALONE): _ours(fresh(), Group(), Parallelism()),
        (_STATE, OURS): _ours(fresh(), group, Parallelism(shard="optimizer")),
        (_STATE, f"{OURS}, gradients too"): _ours(fresh(), group, Parallelism(shard="gradients")),
        (_STATE, "torch ZeroRedundancyOptimizer"): _zero_redundancy(fresh()),
        (_WEIGHTS, OURS): _ours(fresh(), group, Parallelism(shard="weights")),
        (_WEIGHTS, "torch fully_shard"): _fully_shard(fresh()),
    }


def _ours(model: DecoderModel, group: Group, parallelism: Parallelism) -> Subject:
    exchange, optimizer = parallelism.apply(
        parallelism.divide(model, group), AdamW(lr=_RATE, betas=_BETAS)
    )
    loss_of = _Loss(model)

    def step(tokens: Tensor) -> None:
        exchange.backward(loss_of(tokens) / group.size, last=True)
        optimizer.step(1.0)
        exchange.clear()

    state = sum(t.numel() * t.element_size() for t in optimizer.tensors().values())
    return step, exchange.volume(passes=1) if group.size > 1 else None, state


def _torch(loss_of: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    def step(tokens: Tensor) -> None:
        loss_of(tokens).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _ddp(model: DecoderModel) -> Subject:
    wrapped = DistributedDataParallel(_Loss(model), gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(wrapped.parameters(), lr=_RATE, betas=_BETAS, fused=True)
    return _torch(wrapped, optimizer), None, None


def _zero_redundancy(model: DecoderModel) -> Subject:
    wrapped = DistributedDataParallel(_Loss(model), gradient_as_bucket_view=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of what its module compiles
        from torch.distributed.optim import ZeroRedundancyOptimizer

        optimizer = ZeroRedundancyOptimizer(
            wrapped.parameters(), torch.optim.AdamW, lr=_RATE, betas=_BETAS, fused=True
        )
    return _torch(wrapped, optimizer), None, None


def _fully_shard(model: DecoderModel) -> Subject:
    loss_of = _Loss(model)
    for block in model.blocks:
        fully_shard(block)
    fully_shard(loss_of)
    optimizer = torch.optim.AdamW(loss_of.parameters(), lr=_RATE, betas=_BETAS)
    return _torch(loss_of, optimizer), None, None


def _by_subject(
    of_processes: list[dict[tuple[str, str], Measured]],
) -> dict[tuple[str, str], list[Measured]]:
    return {name: [process[name] for process in of_processes] for name in of_processes[0]}
