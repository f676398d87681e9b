"""Pretraining by several processes is that of one: losses, validations, routers and the model."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import load_file
from tests.train.test_pretrain import CONFIG, DEVICES, EXPERTS, MODEL, TOKENIZER
from torch import Tensor

from groundup.checkpoint import Retention, load_decoder
from groundup.core.device import Device
from groundup.core.metrics import read_metrics
from groundup.core.processes import ONE, Group
from groundup.core.progress import make_console
from groundup.core.spawn import Workers
from groundup.data.shards import TokenShards, write_shards
from groundup.layers import GroupedQuery, RouterReport
from groundup.models import Decoder
from groundup.optim import EMA
from groundup.parallel.parallelism import REPLICATED, Parallelism, Shard
from groundup.train import Guard, Pretrain, pretrain
from groundup.train.compile import can_compile
from groundup.train.guard import Action
from groundup.train.pretrain import batch_loss

BALANCED = dataclasses.replace(  # by its bias alone: a loss of balance is each process's own
    EXPERTS, mlp=dataclasses.replace(EXPERTS.mlp, balance=0.0)
)


PLANS = {
    "rows": (BALANCED, Parallelism()),
    "weights": (MODEL, Parallelism(shard="weights")),
    "tensor": (BALANCED, Parallelism(tensor=2)),
    "pipeline": (MODEL, Parallelism(pipeline=2)),
    "context": (BALANCED, Parallelism(context=2)),
}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


def train(
    group: Group,
    shards: Path,
    directory: Path,
    config: Pretrain,
    model: Decoder,
    plan: Parallelism = REPLICATED,
    device: Device = DEVICES[0],
    spoilt: int = -1,
) -> None:
    """spoilt: the micro-batch whose loss is NaN in the last process."""
    text = TokenShards(shards, TOKENIZER.fingerprint)
    count = itertools.count()

    def loss_of(*arguments: Any) -> tuple[Tensor, list[RouterReport]]:
        loss, reports = batch_loss(*arguments)
        bad = next(count) == spoilt and group.rank == group.size - 1
        return loss * (math.nan if bad else 1.0), reports

    with patch("groundup.train.pretrain.batch_loss", loss_of):
        pretrain(
            config,
            model,
            text,
            text,
            directory,
            end_of_text=256,
            device=device,
            console=make_console(quiet=True),
            group=group,
            parallelism=plan,
        )


@pytest.mark.parametrize("name", PLANS)
def test_two_processes_train_as_one(
    workers: Workers, tmp_path: Path, source_files: list[str], name: str
) -> None:
    model, plan = PLANS[name]
    shards, one, two = tmp_path / "shards", tmp_path / "one", tmp_path / "two"
    write_shards(shards, source_files, TOKENIZER, end_of_text=256)
    heads = GroupedQuery(heads=2, kv_heads=2, head_width=16)
    model = dataclasses.replace(model, attention=heads)
    config = dataclasses.replace(CONFIG, steps=5, guard=Guard(on_spike="skip"))
    train(ONE, shards, one, config, model)
    workers.run(train, shards, two, config, model, plan)
    for alone, together in zip(
        *(read_metrics(d / "metrics.jsonl") for d in (one, two)), strict=True
    ):
        assert alone.keys() == together.keys()
        for key in alone.keys() - {"seconds", "router_busiest", "router_dropped"}:
            assert together[key] == pytest.approx(alone[key], rel=1e-5), key
    expected = load_decoder(one / "model").state_dict()
    for name, tensor in load_decoder(two / "model").state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("action", ["skip", "rollback"])
@pytest.mark.parametrize("shard", ["optimizer", "weights"])
def test_all_refuse_a_step_that_one_has_spoilt(
    workers: Workers, tmp_path: Path, source_files: list[str], action: Action, shard: Shard
) -> None:
    shards, one, two = tmp_path / "shards", tmp_path / "one", tmp_path / "two"
    write_shards(shards, source_files, TOKENIZER, end_of_text=256)
    config = dataclasses.replace(
        CONFIG,
        steps=6,
        retention=Retention(every=2),
        guard=Guard(on_nonfinite=action),
    )
    train(ONE, shards, one, config, MODEL, spoilt=7)
    workers.run(train, shards, two, config, MODEL, Parallelism(shard=shard), DEVICES[0], 7)
    records = read_metrics(two / "metrics.jsonl")
    assert [r["step"] for r in records if "incident" in r] == [4]
    expected = load_decoder(one / "model").state_dict()
    for name, tensor in load_decoder(two / "model").state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=2e-5)
    kept = sorted(path.name for path in (two / "incidents").iterdir())
    assert kept == [f"step-00000004-rank-{rank}.safetensors" for rank in (0, 1)]


@pytest.mark.parametrize(
    ("shard", "weights"),
    [
        ("nothing", "bfloat16"),
        ("optimizer", "bfloat16_alone"),
        ("gradients", "float32"),
        ("weights", "float32"),
        ("weights", "bfloat16"),
        ("weights", "bfloat16_alone"),
    ],
)
def test_narrow_formats_learn_together(
    workers: Workers,
    tmp_path: Path,
    source_files: list[str],
    shard: Shard,
    weights: Literal["float32", "bfloat16", "bfloat16_alone"],
) -> None:
    shards, two = tmp_path / "shards", tmp_path / "two"
    write_shards(shards, source_files, TOKENIZER, end_of_text=256)
    config = dataclasses.replace(CONFIG, steps=8, weights=weights, ema=EMA(decay=0.5))
    workers.run(train, shards, two, config, MODEL, Parallelism(shard=shard), DEVICES[1])
    losses = [r["loss"] for r in read_metrics(two / "metrics.jsonl") if "loss" in r]
    assert losses[-1] < losses[0] - 0.3
    saved = load_file(two / "model" / "model.safetensors")
    checkpoint = next((two / "checkpoints").iterdir())
    expected = torch.float32 if weights == "float32" else torch.bfloat16
    assert {tensor.dtype for tensor in saved.values()} == {expected}
    if weights == "float32":  # and no number of it went through the compute format
        assert any((t != t.bfloat16().float()).any() for t in saved.values())
    assert checkpoint.name == "step-00000008"


@pytest.mark.slow
@pytest.mark.skipif(not can_compile(DEVICES[0].device), reason="there is no compiler here")
@pytest.mark.filterwarnings("ignore")  # torch warns of itself while it compiles
def test_compiled_blocks_find_their_weights(
    workers: Workers, tmp_path: Path, source_files: list[str]
) -> None:
    shards, one, two = tmp_path / "shards", tmp_path / "one", tmp_path / "two"
    write_shards(shards, source_files, TOKENIZER, end_of_text=256)
    config = dataclasses.replace(CONFIG, steps=4, compile=True)
    train(ONE, shards, one, config, MODEL)
    workers.run(train, shards, two, config, MODEL, Parallelism(shard="weights"))
    expected = load_decoder(one / "model").state_dict()
    for name, tensor in load_decoder(two / "model").state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-4)
