"""Steps of several processes are those of one, whichever way gradients and state are shared.

The oracle is one process with a loop of PyTorch's own: backward, `clip_grad_norm_`, and the same
optimizer on whole parameters.
"""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from groundup.core.device import Device
from groundup.core.processes import Group
from groundup.core.regions import Region, bounds
from groundup.core.spawn import Workers
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, DecoderModel
from groundup.models.recompute import Recompute
from groundup.optim import EMA, SOAP, Adam, AdamW, ByRole, Lion, Muon, Schedule, ScheduleFreeAdamW
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.parallelism import Parallelism, Shard
from groundup.train.step import Training, steps

CPU = Device(torch.device("cpu"), torch.float32)
ROWS, T = 12, 10
SMALL = Decoder(
    vocab_size=50,
    context=T,
    width=24,
    depth=2,
    attention=GroupedQuery(heads=3, kv_heads=1, head_width=8),
    mlp=GLU(hidden=40),
)
MUON = ByRole(matrices=Muon(lr=0.02), embedding=AdamW(lr=0.05), rest=AdamW(lr=0.01))


@dataclass(frozen=True)
class Job:
    """A training of some steps. frozen: the beginnings of names that are not trained."""

    model: Decoder = SMALL
    optimizer: OptimizerConfig = MUON
    steps: int = 4
    accumulation: int = 2
    clip: float = 0.5
    frozen: tuple[str, ...] = ()
    recompute: Recompute = "nothing"

    def build(self) -> DecoderModel:
        model = self.model.build(seed=1)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith(self.frozen or ("-",)))
        return model

    def loss_of(self, model: DecoderModel, tokens: Tensor) -> tuple[Tensor, dict[str, float]]:
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        losses = model.losses(inputs, targets, implementation="reference", recompute=self.recompute)
        return losses.mean(), {}

    def batches(self) -> list[list[Tensor]]:
        """Micro-batches of each step: [ROWS, T + 1]."""
        generator = torch.Generator().manual_seed(2)
        shape = (self.steps, self.accumulation, ROWS, T + 1)
        tokens = torch.randint(self.model.vocab_size, shape, generator=generator)
        return [list(step) for step in tokens]


def alone(job: Job) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and weights of the oracle; the weights are those that the optimizer would keep."""
    torch.set_num_threads(1)
    model = job.build()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = job.optimizer.build(trained)
    losses = []
    for micro_batches in job.batches():
        step = [job.loss_of(model, tokens)[0] for tokens in micro_batches]
        loss = torch.stack(step).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(trained.values(), job.clip)
        optimizer.step(1.0)
        model.zero_grad()
        losses.append(float(loss.detach()))
    with optimizer.averaged():
        return losses, {name: p.detach().clone() for name, p in model.named_parameters()}


def begun(
    group: Group,
    job: Job,
    plan: Parallelism,
    dtype: torch.dtype = torch.float32,
    sent: torch.dtype = torch.float32,
) -> tuple[Training[Any], list[list[Tensor]]]:
    """The training of one of several processes, and its rows of every micro-batch. sent: the format
    in which sharded weights compute."""
    model = job.build().to(dtype)
    if group.rank:  # the first one's weights count
        for parameter in model.parameters():
            parameter.data.add_(1.0)
    part = plan.divide(model, group)
    exchange, optimizer = plan.apply(part, job.optimizer, sent)
    training = Training(
        model=part.model,
        optimizer=optimizer,
        schedule=Schedule(kind="constant", warmup=0.0),
        steps=job.steps,
        device=CPU,
        clip=job.clip,
        with_others=exchange,
    )
    readers = exchange.mesh.rows
    rows = slice(*bounds(ROWS, readers.size, readers.rank))
    return training, [[tokens[rows] for tokens in micro_batches] for micro_batches in job.batches()]


def weights(training: Training[Any]) -> dict[str, Tensor]:
    """Those that are measured and kept, of this process."""
    with training.optimizer.averaged(), training.exchange.whole():
        parameters = dict(training.model.named_parameters())
        return {training.exchange.key(name): p.detach().clone() for name, p in parameters.items()}


def together(group: Group, job: Job, plan: Parallelism) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and weights of one of several processes."""
    training, own = begun(group, job, plan)
    losses = [result.loss for result in steps(training, own, job.loss_of)]
    return losses, weights(training)


PLANS = {
    "one by one": Parallelism(averaging="one by one"),
    "flat": Parallelism(averaging="flat"),
    "bucketed": Parallelism(bucket_megabytes=0.02),
    "optimizer": Parallelism(shard="optimizer", bucket_megabytes=0.02),
    "gradients": Parallelism(shard="gradients", bucket_megabytes=0.02),
    "gradients, one bucket": Parallelism(shard="gradients"),
    "weights": Parallelism(shard="weights"),
}
JOBS = {
    "tied": Job(model=replace(SMALL, tied=True)),
    "embedding in head": Job(model=replace(SMALL, embedding_in_head=True), accumulation=1),
    "frozen": Job(frozen=("embedding", "blocks.0")),
}


def check(results: list[tuple[list[float], dict[str, Tensor]]], job: Job) -> None:
    expected_losses, expected = alone(job)
    for losses, _ in results:
        assert losses == pytest.approx(expected_losses, rel=1e-6)
    check_weights([weights for _, weights in results], expected, 1e-6)


def check_weights(
    of_processes: list[dict[str, Tensor]], expected: dict[str, Tensor], tolerance: float
) -> None:
    known: dict[str, Tensor] = {}
    for weights in of_processes:
        for key, weight in weights.items():
            region = Region.parse(key)
            box = tuple(slice(*r) if r else slice(None) for r in region.ranges)
            close = {"rtol": tolerance, "atol": tolerance}
            torch.testing.assert_close(weight, expected[region.name][box], **close)
            assert torch.equal(weight, known.setdefault(key, weight))  # agree to the bit
    assert {Region.parse(key).name for key in known} == expected.keys()


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_steps_are_those_of_one_process(workers: Workers, plan: Parallelism, job: Job) -> None:
    check(workers.run(together, job, plan), job)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_shares_need_not_be_even(workers: Workers, plan: Parallelism, size: int) -> None:
    check(workers.run(together, Job(), plan, size=size), Job())


def narrow(group: Group, job: Job) -> tuple[list[float], dict[str, Tensor]]:
    """As `together`, where weights go round and compute in bfloat16."""
    training, own = begun(group, job, PLANS["weights"], sent=torch.bfloat16)
    losses = [result.loss for result in steps(training, own, job.loss_of)]
    return losses, weights(training)


def test_weights_that_compute_in_bfloat16_are_kept_in_float32(workers: Workers) -> None:
    """Beside one process that rounds the weights, computes each half of the rows, and adds up the
    gradients in float32."""
    torch.set_num_threads(1)
    adam = AdamW(lr=0.01, eps=1e-3)  # as what divides by less is mostly its rounding
    job = Job(optimizer=ByRole(matrices=Muon(lr=0.02), embedding=adam, rest=adam), accumulation=1)
    model, rounded = job.build(), job.build().bfloat16()
    optimizer = job.optimizer.build(dict(model.named_parameters()))
    expected_losses = []
    for (tokens,) in job.batches():
        with torch.no_grad():
            for kept, computes in zip(model.parameters(), rounded.parameters(), strict=True):
                computes.copy_(kept)
                kept.grad = torch.zeros_like(kept)
        losses = []
        for rows in tokens.chunk(2):
            loss = job.loss_of(rounded, rows)[0] / 2
            rounded.zero_grad()
            loss.backward()
            losses.append(float(loss.detach()))
            for kept, computes in zip(model.parameters(), rounded.parameters(), strict=True):
                assert kept.grad is not None
                assert computes.grad is not None
                kept.grad += computes.grad
        nn.utils.clip_grad_norm_(model.parameters(), job.clip)
        optimizer.step(1.0)
        expected_losses.append(sum(losses))
    expected = {name: p.detach() for name, p in model.named_parameters()}
    for losses, found in workers.run(narrow, job, size=2):
        assert losses == pytest.approx(expected_losses, rel=1e-6)
        for name, weight in found.items():
            assert weight.dtype == torch.float32
            torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_group_of_one_takes_the_same_path(plan: Parallelism) -> None:
    check([together(Group(), JOBS["tied"], plan)], JOBS["tied"])


@pytest.mark.parametrize(
    "optimizer",
    [
        AdamW(lr=0.01, decay=0.1),
        Lion(lr=0.003),
        ScheduleFreeAdamW(lr=0.01),
        ByRole(matrices=SOAP(lr=0.01, frequency=2), embedding=Adam(lr=0.01), rest=Lion(lr=0.001)),
        EMA(decay=0.5).around(MUON),
    ],
    ids=["AdamW", "Lion", "schedule-free", "SOAP", "EMA"],
)
@pytest.mark.parametrize("shard", ["gradients", "weights"])
def test_any_optimizer_is_sharded(workers: Workers, optimizer: Any, shard: Shard) -> None:
    """Beside two processes that share nothing, whose sums of two numbers have the same bits: these
    updates divide by what is almost zero, or turn into a basis that rounding decides."""
    job = Job(optimizer=optimizer, accumulation=1, clip=1e9)
    expected = workers.run(together, job, PLANS["bucketed"], size=2)
    for found, (losses, weights) in zip(
        workers.run(together, job, PLANS[shard], size=2), expected, strict=True
    ):
        assert found[0] == losses
        for name, weight in found[1].items():
            torch.testing.assert_close(weight, weights[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("recompute", ["logits", "blocks"])
def test_blocks_that_are_computed_anew_find_their_weights(
    workers: Workers, recompute: Recompute
) -> None:
    job = Job(recompute=recompute)
    check(workers.run(together, job, PLANS["weights"], size=2), job)
