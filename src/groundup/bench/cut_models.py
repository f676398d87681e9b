"""A training step of a model that is cut over two and more processes of this machine, in every way
that `groundup.parallel` has, beside PyTorch's `parallelize_module` and `pipelining`.

All subjects compute the same rows in a step, on the same processes, in turns. What a process sends
is counted by the kernel, and set beside the formulas of `groundup.parallel`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.pipelining import PipelineStage, Schedule1F1B
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn import functional as F

from groundup.bench.planned import planned_seconds
from groundup.bench.race import race
from groundup.bench.result import OURS, row
from groundup.bench.sent import COUNTED
from groundup.core.processes import Group
from groundup.core.spawn import Workers
from groundup.layers import GLU, GroupedQuery, MoE
from groundup.models import Decoder
from groundup.optim import AdamW
from groundup.parallel.parallelism import Parallelism
from groundup.parallel.part import Part, PartOfDecoder
from groundup.scaling.cluster import Composition

_OPTIMIZER = AdamW(lr=1e-3, betas=(0.9, 0.95))
_DATA, _TENSOR, _PIPELINE = "rows", "tensor parallel", "pipeline"
_CONTEXT, _EXPERTS = "context parallel", "expert parallel"


@dataclass(frozen=True)
class Setting:
    """rows: of a step, in `micro_batches` of a pipeline. rounds: steps of each that are timed."""

    model: Decoder
    rows: int
    micro_batches: int
    rounds: int


@dataclass(frozen=True)
class Measured:
    """Of a subject in one process: seconds of its steps, bytes that it sends in one, those of the
    formula, and bytes of weights."""

    seconds: list[float]
    sent: int
    formula: float | None
    weights: int


@dataclass(frozen=True)
class Subject:
    step: Callable[[Tensor], None]
    formula: float | None
    weights: int


def bench_cut_models(
    count: int, *, quick: bool, exchanged: float | None = None
) -> list[dict[str, Any]]:
    """The rows of the result, with so many processes. quick: a smaller model and fewer steps.
    exchanged: bytes a second that a process sends, where what the planner says of these steps is to
    stand beside them."""
    heads = 4
    config = Decoder(
        vocab_size=4096,
        context=256,
        width=64 * heads,
        depth=4,
        attention=GroupedQuery(heads=heads, kv_heads=heads, head_width=64),
        mlp=GLU(hidden=704),
    )
    setting = Setting(config, 8 if quick else 16, 4 if quick else 8, 3 if quick else 11)
    with Workers(count) as workers:
        of_processes = workers.run(_race, setting)
    rows = []
    for case, subject in of_processes[0]:
        results = [process[case, subject] for process in of_processes]
        name = f"{case}, {count} processes"
        # A step is over when the last process is through with it.
        last = [1e3 * max(times) for times in zip(*(r.seconds for r in results), strict=True)]
        rows.append(row(name, subject, "a step", "ms", last, higher=False))
        if COUNTED:
            sent = [sum(r.sent for r in results) / count / 1e6]
            rows.append(row(name, subject, "sent", "MB", sent, higher=False))
        if results[0].formula is not None:
            formula = [sum(r.formula or 0 for r in results) / count / 1e6]
            rows.append(row(name, subject, "by the formula", "MB", formula, higher=False))
        weights = [max(r.weights for r in results) / 1e6]
        rows.append(row(name, subject, "weights", "MB", weights, higher=False))
    if exchanged is not None:
        rows += _planned_rows(setting, count, rows, exchanged)
    return rows


def _planned_rows(
    setting: Setting, count: int, measured: list[dict[str, Any]], exchanged: float
) -> list[dict[str, Any]]:
    each = setting.rows // setting.micro_batches
    ways = {
        _DATA: Composition(replicas=count, rows=setting.rows // count),
        _TENSOR: Composition(tensor=count, rows=setting.rows),
        _PIPELINE: Composition(pipeline=count, rows=each, micro_batches=setting.micro_batches),
        _CONTEXT: Composition(context=count, rows=setting.rows),
    }
    name = f"{_DATA}, {count} processes"
    (known,) = (
        row["value"] / 1e3
        for row in measured
        if (row["case"], row["subject"], row["metric"]) == (name, OURS, "a step")
    )
    found = planned_seconds(setting.model, setting.model.context, ways, _DATA, known, exchanged)
    return [
        row(f"{way}, {count} processes", OURS, "planned", "ms", [1e3 * seconds], higher=False)
        for way, seconds in found.items()
    ]


def _race(group: Group, setting: Setting) -> dict[tuple[str, str], Measured]:
    """All subjects in one process of the group."""
    subjects = _subjects(group, setting)
    generator = torch.Generator().manual_seed(0)
    shape = (setting.rows, setting.model.context + 1)
    tokens = torch.randint(setting.model.vocab_size, shape, generator=generator)
    raced = race(
        group, {name: partial(of.step, tokens) for name, of in subjects.items()}, setting.rounds
    )
    return {
        name: Measured(*raced[name], subject.formula, subject.weights)
        for name, subject in subjects.items()
    }


def _subjects(group: Group, setting: Setting) -> dict[tuple[str, str], Subject]:
    n, config = group.size, setting.model
    mixture = replace(config, mlp=MoE(experts=8, active=2, hidden=352))
    in_pipeline = replace(setting, rows=setting.rows // setting.micro_batches)
    return {
        (_DATA, OURS): _ours(group, setting, config, Parallelism()),
        (_TENSOR, OURS): _ours(group, setting, config, Parallelism(tensor=n)),
        (_TENSOR, "torch parallelize_module"): _torch_tensor(n, config),
        (_PIPELINE, OURS): _ours(group, in_pipeline, config, Parallelism(pipeline=n)),
        (_PIPELINE, f"{OURS}, gpipe"): _ours(
            group, in_pipeline, config, Parallelism(pipeline=n, schedule="gpipe")
        ),
        (_PIPELINE, "torch Schedule1F1B"): _torch_pipeline(group, setting),
        (_CONTEXT, OURS): _ours(group, setting, config, Parallelism(context=n)),
        (_EXPERTS, f"{OURS}, all everywhere"): _ours(group, setting, mixture, Parallelism()),
        (_EXPERTS, OURS): _ours(group, setting, mixture, Parallelism(experts=n)),
    }


def _ours(group: Group, setting: Setting, config: Decoder, plan: Parallelism) -> Subject:
    """setting.rows: of a micro-batch."""
    part = plan.divide(config.build(seed=0), group)
    exchange, optimizer = plan.apply(part, _OPTIMIZER)
    model, readers = part.model, part.mesh.rows
    own = setting.rows // readers.size

    def step(tokens: Tensor) -> None:
        micro_batches = tokens.split(setting.rows)
        scale, left = len(micro_batches) * readers.size, len(micro_batches)
        graphs: dict[int, Tensor] = {}
        for kind, index in exchange.order(len(micro_batches)):
            if kind == "forward":
                rows = micro_batches[index][own * readers.rank : own * (readers.rank + 1)]
                graphs[index] = _mean_loss(model, rows) / scale
            else:
                left -= 1
                exchange.backward(graphs.pop(index), last=left == 0)
        optimizer.step(1.0)
        exchange.clear()

    return Subject(step, _formula(part, exchange.volume(passes=1), setting, own), _weights(model))


def _formula(part: Part, gradients: float, setting: Setting, own: int) -> float:
    """Bytes of a step by the formulas; own: rows of this process in a micro-batch."""
    if not isinstance(part.model, PartOfDecoder):
        return gradients
    micro_batches = setting.micro_batches if part.mesh.sizes["pipeline"] > 1 else 1
    passes = part.model.volume(own, setting.model.context, torch.float32)
    return gradients + micro_batches * passes


def _mean_loss(model: Any, rows: Tensor) -> Tensor:
    reports: list[Any] = []
    losses = model.losses(rows[:, :-1], rows[:, 1:], implementation="training", reports=reports)
    return losses.mean() + sum(report.loss for report in reports)


def _torch_tensor(count: int, config: Decoder) -> Subject:
    """Heads and units are cut, and what branches add is summed up in every process; embedding, head
    and norms are whole everywhere."""
    model = config.build(seed=0)
    weights = _weights(model)
    mesh = init_device_mesh("cpu", (count,))
    columns = ("attention.query", "attention.key", "attention.value", "mlp.gate", "mlp.up")
    plan = {
        **{f"blocks.*.{name}": ColwiseParallel() for name in columns},
        **{f"blocks.*.{name}": RowwiseParallel() for name in ("attention.output", "mlp.down")},
    }
    parallelize_module(model, mesh, plan)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), foreach=False)
    cut = sum(p.nbytes for name, p in model.named_parameters() if "blocks" in name and p.ndim > 1)

    def step(tokens: Tensor) -> None:
        _mean_loss(model, tokens).backward()
        optimizer.step()
        optimizer.zero_grad()

    return Subject(step, None, weights - cut + cut // count)


def _torch_pipeline(group: Group, setting: Setting) -> Subject:
    """The same stages, in PyTorch's schedule."""
    plan = Parallelism(pipeline=group.size)
    stage = _Stage(plan.divide(setting.model.build(seed=0), group))
    optimizer = torch.optim.AdamW(stage.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)
    each = setting.rows // setting.micro_batches
    stream = torch.zeros(each, setting.model.context, setting.model.width, requires_grad=True)
    tokens_of_one = torch.zeros(each, setting.model.context, dtype=torch.long)
    logits = torch.zeros(each, setting.model.context, setting.model.vocab_size)
    around = PipelineStage(
        stage,
        group.rank,
        group.size,
        torch.device("cpu"),
        input_args=(tokens_of_one if group.rank == 0 else stream,),
        output_args=(logits if group.rank == group.size - 1 else stream,),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schedule = Schedule1F1B(around, setting.micro_batches, loss_fn=_cross_entropy)

    def step(tokens: Tensor) -> None:
        given = (tokens[:, :-1],) if group.rank == 0 else ()
        schedule.step(*given, target=tokens[:, 1:] if group.rank == group.size - 1 else None)
        optimizer.step()
        optimizer.zero_grad()

    return Subject(step, None, _weights(stage))


class _Stage(nn.Module):
    """What a stage of our pipeline computes, as a module."""

    def __init__(self, part: Part):
        super().__init__()
        assert isinstance(part.model, PartOfDecoder)
        self.part = part.model

    def forward(self, x: Tensor) -> Tensor:
        model = self.part
        positions = torch.arange(x.shape[1])
        if model.pipeline.first:
            x = model.embed(x, positions)
        x = model.through(x, positions, implementation="training")
        return model.readout(x) if model.pipeline.last else x


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _weights(model: nn.Module) -> int:
    return sum(p.nbytes for p in model.parameters())
