"""A checkpoint of some processes is one of any number of them, however they share the state."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.parallel.test_steps import JOBS, PLANS, Job, alone, begun, weights
from torch import Tensor

from groundup.checkpoint import CheckpointWriter, Retention, latest_checkpoint, load_checkpoint
from groundup.core.processes import Group
from groundup.core.spawn import Workers
from groundup.optim import EMA, SOAP, AdamW, ByRole, ScheduleFreeAdamW
from groundup.parallel.parallelism import Parallelism
from groundup.train.step import steps


def some_steps(
    group: Group, job: Job, plan: Parallelism, folder: Path, until: int
) -> dict[str, Tensor]:
    """Train from the newest checkpoint in `folder`, if there is one, to a step, and save that."""
    training, own = begun(group, job, plan)
    model, optimizer, exchange = training.model, training.optimizer, training.exchange
    newest = latest_checkpoint(folder)
    group.barrier()
    if newest:
        training.step = load_checkpoint(newest, model, optimizer, exchange)["step"]
    for _ in steps(training, own[training.step : until], job.loss_of):
        pass
    writer = CheckpointWriter(folder, Retention(), exchange)
    writer.begin(model, optimizer, training.step, {})
    writer.wait()
    group.barrier()
    writer.close()
    return weights(training)


AVERAGED = EMA(decay=0.5).around(JOBS["tied"].optimizer)
CHANGES = [
    (("optimizer", 4), ("optimizer", 2)),
    (("optimizer", 2), ("bucketed", 1)),
    (("bucketed", 1), ("gradients", 4)),
    (("weights", 4), ("weights", 2)),
    (("weights", 2), ("bucketed", 1)),
    (("bucketed", 2), ("weights", 4)),
]


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=str)
def test_a_training_goes_on_with_more_or_fewer_processes(
    workers: Workers,
    tmp_path: Path,
    before: tuple[str, int],
    after: tuple[str, int],
) -> None:
    job = replace(JOBS["tied"], optimizer=AVERAGED, steps=5)
    _, expected = alone(job)
    (first, few), (second, many) = before, after
    workers.run(some_steps, job, PLANS[first], tmp_path, 2, size=few)
    results = workers.run(some_steps, job, PLANS[second], tmp_path, job.steps, size=many)
    for name, weight in results[0].items():
        torch.testing.assert_close(weight, expected[name], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("plan", ["optimizer", "weights"])
def test_four_processes_then_two_then_one(workers: Workers, tmp_path: Path, plan: str) -> None:
    job = replace(JOBS["tied"], optimizer=AVERAGED, steps=6)
    _, expected = alone(job)
    found: list[dict[str, Tensor]] = []
    for until, size in ((2, 4), (4, 2), (6, 1)):
        found = workers.run(some_steps, job, PLANS[plan], tmp_path, until, size=size)
    for name, weight in found[0].items():
        torch.testing.assert_close(weight, expected[name], rtol=2e-6, atol=2e-6)


def state(group: Group, job: Job, plan: Parallelism, folder: Path) -> dict[str, Tensor]:
    """The optimizer's state as this process loads it."""
    model = job.build()
    exchange, optimizer = plan.apply(plan.divide(model, group), job.optimizer)
    newest = latest_checkpoint(folder)
    assert newest is not None
    load_checkpoint(newest, model, optimizer, exchange)
    return optimizer.tensors()


def joined(of_processes: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Whole tensors from the rows that their names say."""
    rows: dict[str, dict[int, Tensor]] = {}
    for tensors in of_processes:
        for key, tensor in tensors.items():
            name, _, part = key.partition("[")
            rows.setdefault(name, {})[int(part.partition(":")[0] or 0)] = tensor
    return {
        name: parts[0] if len(parts) == 1 else torch.cat([parts[at] for at in sorted(parts)])
        for name, parts in rows.items()
    }


@pytest.mark.parametrize(("before", "after"), CHANGES[::2], ids=str)
def test_every_bit_of_the_state_arrives(
    workers: Workers, tmp_path: Path, before: tuple[str, int], after: tuple[str, int]
) -> None:
    soap = ByRole(matrices=SOAP(lr=0.01), embedding=ScheduleFreeAdamW(lr=0.02), rest=AdamW(lr=0.01))
    job = replace(JOBS["embedding in head"], optimizer=soap)
    (first, few), (second, many) = before, after
    workers.run(some_steps, job, PLANS[first], tmp_path, 2, size=few)
    saved = joined(workers.run(state, job, PLANS[first], tmp_path, size=few))
    loaded = joined(workers.run(state, job, PLANS[second], tmp_path, size=many))
    assert loaded.keys() == saved.keys()
    assert {name.split("/")[1].split(".")[0] for name in saved} >= {"left_basis", "z", "second"}
    for name, tensor in saved.items():
        assert torch.equal(loaded[name], tensor), name
        assert float(tensor.abs().max()) > 0, name


def test_resumed_as_it_was_saved_it_has_the_same_bits(workers: Workers, tmp_path: Path) -> None:
    job = JOBS["embedding in head"]
    whole = workers.run(some_steps, job, PLANS["weights"], tmp_path / "whole", job.steps, size=2)
    workers.run(some_steps, job, PLANS["weights"], tmp_path / "cut", 2, size=2)
    cut = workers.run(some_steps, job, PLANS["weights"], tmp_path / "cut", job.steps, size=2)
    for name, weight in cut[0].items():
        assert torch.equal(weight, whole[0][name]), name
