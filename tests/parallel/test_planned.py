"""What the planner of large trainings says is sent, against what a small one does send."""

from dataclasses import replace

import pytest
import torch

from groundup.core.processes import Group
from groundup.core.spawn import Workers
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.optim import AdamW
from groundup.parallel.parallelism import Parallelism
from groundup.parallel.part import PartOfDecoder
from groundup.scaling.accelerators import H100_500W
from groundup.scaling.cluster import Composition, estimate
from groundup.scaling.cluster_plan import llama_of


def test_bytes_are_those_that_a_training_sends(workers: Workers) -> None:
    """By the formulas of `groundup.parallel`, which are held against the kernel's counts."""
    model = replace(llama_of(5e8), vocab_size=640, width=512, depth=12, context=256)
    model = replace(
        model,
        attention=GroupedQuery(heads=8, kv_heads=4, head_width=64, query_key_norm=None),
        mlp=GLU(hidden=1024),
        tied=False,
    )
    for plan, composition, kind in (
        (Parallelism(tensor=4), Composition(tensor=4, rows=8), "tensor"),
        (Parallelism(context=4), Composition(context=4, rows=8), "context"),
        (Parallelism(shard="weights"), Composition(shard=4, rows=2), "shard"),
        (Parallelism(), Composition(replicas=4, rows=2), "replicas"),
    ):
        sent = estimate(model, 256, composition, H100_500W).sent
        passes, weights = workers.run(volumes, model, plan)[0]
        formula = passes if kind in ("tensor", "context") else weights
        # The embedding and the head are few bytes of the first, and are gathered once.
        assert getattr(sent, kind) == pytest.approx(formula, rel=0.1), kind
        assert sent.total == pytest.approx(getattr(sent, kind) + (kind == "context") * sent.shard)


def volumes(group: Group, model: Decoder, plan: Parallelism) -> tuple[float, float]:
    """Bytes that a process sends in the passes of a micro-batch, and of gradients and weights."""
    part = plan.divide(model.build(seed=0), group)
    exchange, _ = plan.apply(part, AdamW(lr=0.1), torch.bfloat16)
    passes = 0.0
    if isinstance(part.model, PartOfDecoder):
        passes = part.model.volume(8, model.context, torch.bfloat16)
    return passes, exchange.volume(1)
