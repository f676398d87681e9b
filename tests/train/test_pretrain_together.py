"""Pretraining by several processes is that of one: losses, validations, routers and the model."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.train.test_pretrain import CONFIG, DEVICES, EXPERTS, MODEL, TOKENIZER

from groundup.checkpoint import load_decoder
from groundup.core.metrics import read_metrics
from groundup.core.processes import ONE, Group
from groundup.core.progress import make_console
from groundup.core.spawn import Workers
from groundup.data.shards import TokenShards, write_shards
from groundup.models import Decoder
from groundup.parallel.parallelism import Parallelism, Shard
from groundup.train import Guard, Pretrain, pretrain

BALANCED = dataclasses.replace(  # by its bias alone: a loss of balance is each process's own
    EXPERTS, mlp=dataclasses.replace(EXPERTS.mlp, balance=0.0)
)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


def train(
    group: Group, shards: Path, directory: Path, config: Pretrain, model: Decoder, shard: Shard
) -> None:
    text = TokenShards(shards, TOKENIZER.fingerprint)
    pretrain(
        config,
        model,
        text,
        text,
        directory,
        end_of_text=256,
        device=DEVICES[0],
        console=make_console(quiet=True),
        group=group,
        parallelism=Parallelism(shard=shard),
    )


@pytest.mark.parametrize("model", [MODEL, BALANCED], ids=["dense", "experts"])
@pytest.mark.parametrize("shard", ["nothing", "weights"])
def test_two_processes_train_as_one(
    workers: Workers, tmp_path: Path, source_files: list[str], model: Decoder, shard: Shard
) -> None:
    shards, one, two = tmp_path / "shards", tmp_path / "one", tmp_path / "two"
    write_shards(shards, source_files, TOKENIZER, end_of_text=256)
    config = dataclasses.replace(CONFIG, steps=5, guard=Guard(on_spike="skip"))
    train(ONE, shards, one, config, model, "nothing")
    workers.run(train, shards, two, config, model, shard)
    for alone, together in zip(
        *(read_metrics(d / "metrics.jsonl") for d in (one, two)), strict=True
    ):
        assert alone.keys() == together.keys()
        for name in alone.keys() - {"seconds", "router_busiest", "router_dropped"}:
            assert together[name] == pytest.approx(alone[name], rel=1e-5), name
    expected = load_decoder(one / "model").state_dict()
    for name, tensor in load_decoder(two / "model").state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=2e-5)
