"""Models that are cut over processes learn what one process learns: every kind of cut alone, and
several at once."""

import statistics
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from tests.parallel.test_reshard import some_steps
from tests.parallel.test_steps import (
    SMALL,
    Job,
    alone,
    begun,
    check,
    check_weights,
    together,
    weights,
)
from torch import Tensor

from groundup.bench.sent import COUNTED, bytes_sent, bytes_since
from groundup.core.processes import Group
from groundup.core.spawn import Workers
from groundup.layers import (
    GLU,
    MLP,
    ALiBi,
    GroupedQuery,
    Latent,
    LayerNorm,
    Learned,
    MoE,
    RelativeBias,
)
from groundup.models import Decoder, DecoderModel
from groundup.models.recompute import Recompute
from groundup.optim import EMA, AdamW, ByRole, Muon, Narrow
from groundup.parallel.parallelism import Parallelism, Shard
from groundup.parallel.part import PartOfDecoder
from groundup.parallel.pipeline import Schedule
from groundup.train.step import steps

# As `SMALL`, with heads, units and blocks for four processes, and all that a part of a model has.
WIDE = replace(
    SMALL,
    depth=4,
    attention=GroupedQuery(heads=8, kv_heads=4, head_width=4, shift=True),
    embedding_in_head=True,
)
BIASED = replace(
    WIDE,
    attention=GroupedQuery(heads=4, kv_heads=4, head_width=6, bias=True, output_bias=True),
    mlp=MLP(hidden=40, bias=True),
    norm=LayerNorm(),
    position=Learned(),
    embedding_in_head=False,
    tied=True,
)
EXPERTS = replace(
    WIDE,
    mlp=(MoE(experts=4, active=2, hidden=16, shared=8, balance=0.0), GLU(hidden=40)),
)
LATENT = replace(
    WIDE,
    attention=Latent(heads=4, rank=8, query_rank=8, key_width=6, rope_width=4, value_width=6),
    placement="sandwich",
)
SLOPES = replace(WIDE, position=(ALiBi(), RelativeBias(buckets=8, distance=10)))
MODELS = {
    "shift": WIDE,
    "biased": BIASED,
    "experts": EXPERTS,
    "latent": LATENT,
    "slopes": SLOPES,
}
# Their eps is of the gradients' size: an update that divides by less is mostly its rounding.
ADAM = AdamW(lr=0.01, eps=1e-3)
ROLES = ByRole(matrices=Muon(lr=0.01), embedding=ADAM, rest=ADAM)


JOBS = {name: Job(model=model, optimizer=ROLES) for name, model in MODELS.items()}
JOBS["biased"] = replace(JOBS["biased"], optimizer=ADAM)


def assert_as_one_process(workers: Workers, job: Job, plan: Parallelism, size: int) -> None:
    check(workers.run(together, job, plan, size=size), job)


@pytest.mark.parametrize(
    ("name", "size"), [*((name, 2) for name in JOBS), ("shift", 4), ("experts", 4)]
)
def test_tensor_parallel(workers: Workers, name: str, size: int) -> None:
    assert_as_one_process(workers, JOBS[name], Parallelism(tensor=size), size)


@pytest.mark.parametrize(
    ("name", "size", "schedule"),
    [*((name, 2, "1f1b") for name in JOBS), ("experts", 4, "1f1b"), ("slopes", 4, "gpipe")],
)
def test_pipeline(workers: Workers, name: str, size: int, schedule: Schedule) -> None:
    job = replace(JOBS[name], accumulation=3)
    assert_as_one_process(workers, job, Parallelism(pipeline=size, schedule=schedule), size)


@pytest.mark.parametrize("size", [2, 4])
def test_expert_parallel(workers: Workers, size: int) -> None:
    assert_as_one_process(workers, JOBS["experts"], Parallelism(experts=size), size)


@pytest.mark.parametrize("name", ["shift", "biased", "experts"])
@pytest.mark.parametrize("size", [2, 4])
def test_context_parallel(workers: Workers, name: str, size: int) -> None:
    assert_as_one_process(workers, JOBS[name], Parallelism(context=size), size)


COMPOSITIONS = {
    "tensor, data": Parallelism(tensor=2),
    "tensor, optimizer": Parallelism(tensor=2, shard="optimizer", bucket_megabytes=0.01),
    "tensor, gradients": Parallelism(tensor=2, shard="gradients"),
    "tensor, weights": Parallelism(tensor=2, shard="weights"),
    "tensor, pipeline": Parallelism(tensor=2, pipeline=2),
    "tensor, context": Parallelism(tensor=2, context=2),
    "tensor, experts": Parallelism(tensor=2, experts=2),
    "tensor, gpipe": Parallelism(tensor=2, pipeline=2, schedule="gpipe"),
    "pipeline, data": Parallelism(pipeline=2),
    "pipeline, optimizer": Parallelism(pipeline=2, shard="optimizer"),
    "pipeline, gradients": Parallelism(pipeline=2, shard="gradients"),
    "pipeline, context": Parallelism(pipeline=2, context=2),
    "pipeline, experts": Parallelism(pipeline=2, experts=2),
    "context, data": Parallelism(context=2),
    "context, optimizer": Parallelism(context=2, shard="optimizer"),
    "context, gradients": Parallelism(context=2, shard="gradients"),
    "context, weights": Parallelism(context=2, shard="weights"),
    "experts, optimizer": Parallelism(experts=2, shard="optimizer"),
    "experts, gradients": Parallelism(experts=2, shard="gradients"),
    "experts, weights": Parallelism(experts=2, shard="weights"),
    "experts, context": Parallelism(experts=2, context=2),
}


@pytest.mark.parametrize("plan", COMPOSITIONS.values(), ids=COMPOSITIONS)
def test_compositions(workers: Workers, plan: Parallelism) -> None:
    assert_as_one_process(workers, JOBS["experts"], plan, 4)


@pytest.mark.parametrize("name", [name for name in COMPOSITIONS if "experts" not in name])
def test_compositions_of_tied_weights(workers: Workers, name: str) -> None:
    assert_as_one_process(workers, JOBS["biased"], COMPOSITIONS[name], 4)


THREE = {
    "tensor, pipeline, optimizer": Parallelism(tensor=2, pipeline=2, shard="optimizer"),
    "tensor, context, experts": Parallelism(tensor=2, context=2, experts=2),
    "pipeline, context, experts": Parallelism(pipeline=2, context=2, experts=2),
    "tensor, experts, weights": Parallelism(tensor=2, experts=2, shard="weights"),
}


@pytest.mark.slow
def test_three_cuts_at_once() -> None:
    with Workers(8) as workers:
        for plan in THREE.values():
            assert_as_one_process(workers, JOBS["experts"], plan, 8)


@pytest.mark.parametrize(
    ("name", "recompute"),
    [
        ("tensor, pipeline", "blocks"),
        ("tensor, context", "logits"),
        ("tensor, experts", "blocks"),
    ],
)
def test_what_is_computed_anew_is_exchanged_anew(
    workers: Workers, name: str, recompute: Recompute
) -> None:
    assert_as_one_process(
        workers, replace(JOBS["experts"], recompute=recompute), COMPOSITIONS[name], 4
    )


def test_frozen_weights_stay(workers: Workers) -> None:
    job = replace(JOBS["experts"], frozen=("embedding", "blocks.0", "blocks.1.mlp"))
    assert_as_one_process(workers, job, COMPOSITIONS["tensor, pipeline"], 4)


RESHARDED = [
    (("tensor, data", 4), ("data", 1)),
    (("tensor, pipeline", 4), ("tensor, weights", 4)),
    (("tensor, weights", 4), ("pipeline, experts", 4)),
    (("experts, optimizer", 4), ("tensor, gradients", 2)),
    (("data", 2), ("tensor, experts", 4)),
]


@pytest.mark.parametrize(("before", "after"), RESHARDED, ids=str)
def test_a_training_goes_on_in_other_parts(
    workers: Workers, tmp_path: Path, before: tuple[str, int], after: tuple[str, int]
) -> None:
    job = replace(JOBS["experts"], optimizer=EMA(decay=0.5).around(ROLES), steps=5)
    plans = COMPOSITIONS | {"data": Parallelism()}
    (first, few), (second, many) = before, after
    workers.run(some_steps, job, plans[first], tmp_path, 2, size=few)
    results = workers.run(some_steps, job, plans[second], tmp_path, job.steps, size=many)
    check_weights(results, alone(job)[1], 2e-6)


def test_resumed_in_the_same_parts_it_has_the_same_bits(workers: Workers, tmp_path: Path) -> None:
    job, plan = JOBS["experts"], COMPOSITIONS["tensor, pipeline"]
    whole = workers.run(some_steps, job, plan, tmp_path / "whole", job.steps)
    workers.run(some_steps, job, plan, tmp_path / "cut", 2)
    for cut, other in zip(
        workers.run(some_steps, job, plan, tmp_path / "cut", job.steps), whole, strict=True
    ):
        assert cut.keys() == other.keys()
        assert all(torch.equal(weight, other[key]) for key, weight in cut.items())


LONG = replace(
    WIDE, context=64, width=64, attention=GroupedQuery(heads=8, kv_heads=4, head_width=8)
)
SENDING = {
    "tensor": (LONG, Parallelism(tensor=4)),
    "pipeline": (LONG, Parallelism(pipeline=4)),
    "context": (LONG, Parallelism(context=4)),
    "experts": (replace(LONG, mlp=EXPERTS.mlp), Parallelism(experts=4)),
    "three": (LONG, Parallelism(tensor=2, context=2)),
}


def bytes_of_a_pass(group: Group, config: Decoder, plan: Parallelism) -> tuple[int, float]:
    """What a micro-batch sends, forward and backward: counted by the kernel, and by the formula."""
    part = plan.divide(config.build(seed=0), group)
    model = part.model
    assert isinstance(model, PartOfDecoder)
    generator = torch.Generator().manual_seed(part.mesh.rows.rank)
    tokens = torch.randint(config.vocab_size, (8, config.context), generator=generator)
    sent = []
    for _ in range(4):  # the first opens the connections
        group.barrier()
        before = bytes_sent()
        model.losses(tokens, tokens).mean().backward()
        _ = [*model.pipeline.order(1)]  # until all has arrived
        sent.append(bytes_since(before))
    return statistics.median(sent[1:]), model.volume(*tokens.shape, torch.float32)


@pytest.mark.skipif(not COUNTED, reason="the kernel does not count a socket's bytes")
@pytest.mark.parametrize("name", SENDING)
def test_a_pass_sends_the_bytes_of_the_formula(workers: Workers, name: str) -> None:
    results = workers.run(bytes_of_a_pass, *SENDING[name])
    counted, formula = (sum(of) / len(results) for of in zip(*results, strict=True))
    # heads of messages; and routers are not even
    assert counted == pytest.approx(formula, rel=0.1 if name == "experts" else 0.02)


HEADS = GroupedQuery(heads=3, kv_heads=3, head_width=8)
ODD = replace(EXPERTS, vocab_size=57, depth=2)
DOCUMENTED = replace(SMALL, depth=4, attention=replace(HEADS, window=5), mlp=GLU(hidden=42))


@dataclass(frozen=True)
class Packed(Job):
    """Several documents in each row."""

    def loss_of(self, model: DecoderModel, tokens: Tensor) -> tuple[Tensor, dict[str, float]]:
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        losses = model.losses(
            inputs, targets, documents=inputs // 20, recompute=self.recompute, z_loss=0.01
        )
        return losses.mean(), {}


@pytest.mark.parametrize(
    "plan",
    [Parallelism(context=2, pipeline=2), Parallelism(context=4), Parallelism(tensor=3)],
    ids=["context, pipeline", "context", "tensor"],
)
def test_documents_and_windows(workers: Workers, plan: Parallelism) -> None:
    """Computed anew, too, while later micro-batches with other documents have gone forward."""
    job = Packed(model=DOCUMENTED, optimizer=ADAM, accumulation=3, recompute="blocks")
    assert_as_one_process(workers, job, plan, 3 if plan.tensor == 3 else 4)


@pytest.mark.parametrize("shard", ["optimizer", "weights"])
def test_a_vocabulary_need_not_divide(workers: Workers, shard: Shard) -> None:
    """Its parts differ in size, and matrices are dealt out alike all the same."""
    plan = Parallelism(tensor=2, shard=shard, bucket_megabytes=0.01)
    assert_as_one_process(workers, replace(JOBS["experts"], model=ODD), plan, 4)


@pytest.mark.parametrize("frozen", [("embedding", "blocks.0", "blocks.1"), ("blocks.2", "readout")])
def test_a_stage_may_be_frozen(workers: Workers, frozen: tuple[str, ...]) -> None:
    job = replace(JOBS["shift"], frozen=frozen, accumulation=3)
    job = replace(job, model=replace(WIDE, embedding_in_head=False))
    assert_as_one_process(workers, job, Parallelism(pipeline=4), 4)


def rounded_by_chance(group: Group, plan: Parallelism) -> dict[str, Tensor]:
    job = replace(JOBS["experts"], optimizer=Narrow("stochastic", ROLES))
    training, own = begun(group, job, plan, torch.bfloat16)
    list(steps(training, own, job.loss_of))
    return weights(training)


@pytest.mark.parametrize(
    "name", ["tensor, data", "tensor, pipeline", "pipeline, optimizer", "experts, weights"]
)
def test_copies_are_rounded_alike(workers: Workers, name: str) -> None:
    known: dict[str, Tensor] = {}
    for of_process in workers.run(rounded_by_chance, COMPOSITIONS[name]):
        for key, weight in of_process.items():
            assert weight.dtype == torch.bfloat16
            assert torch.equal(weight, known.setdefault(key, weight)), key


def biases_of_routers(group: Group, plan: Parallelism) -> list[torch.dtype]:
    config = replace(EXPERTS, mlp=replace(EXPERTS.mlp[0], bias=True))
    model = config.build(seed=0)
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()
    return [buffer.dtype for buffer in plan.divide(model, group).model.buffers()]


def test_routers_move_in_small_steps(workers: Workers) -> None:
    """In float32, whatever the weights are."""
    for dtypes in workers.run(biases_of_routers, Parallelism(tensor=2), size=2):
        assert set(dtypes) == {torch.float32}


def meshes(group: Group) -> list[float]:
    """Sums over the groups of two meshes, as a probe and a training make them."""
    plan = Parallelism(pipeline=3, schedule="gpipe")
    return [plan.mesh(group).over("pipeline").total(1.0) for _ in range(2)]


def test_meshes_of_one_shape_share_their_groups(workers: Workers) -> None:
    assert workers.run(meshes, size=3) == [[3.0, 3.0]] * 3
