"""What is measured before a training: whether compiling it pays."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from groundup.core.device import Device
from groundup.optim import AdamW, ByRole
from groundup.scaling.plan import decoder_of_size
from groundup.train import Pretrain, StepResult, probe, steps
from groundup.train.compile import can_compile
from groundup.train.probe import faster_step, probe_step

CPU = Device(torch.device("cpu"), torch.float32)
MODEL = decoder_of_size(2, vocab_size=64, context=32)
ADAMW = AdamW(lr=1e-3)
CONFIG = Pretrain(steps=1, batch=2, optimizer=ByRole(matrices=ADAMW, embedding=ADAMW, rest=ADAMW))


def test_a_short_training_is_not_compiled() -> None:
    config, probe, why = faster_step(CONFIG, MODEL, CPU, seconds=60)
    assert not config.compile
    assert why == "60 s of training are too few to pay for compiling"
    assert probe.tokens_per_second == pytest.approx(64 / probe.step_seconds)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch warns of itself while it compiles
@pytest.mark.skipif(not can_compile(CPU.device), reason="there is no C++ compiler")
def test_a_long_training_is_compiled_where_that_was_faster() -> None:
    config, probe, why = faster_step(CONFIG, MODEL, CPU, seconds=3600)
    said = re.fullmatch(r"measured: compiled it is ([\d.]+) times as fast, after (\d+) s", why)
    assert said
    ratio, setup = map(float, said.groups())
    saved = [3600 * (1 - 1 / (ratio + rounded)) for rounded in (-0.005, 0.005)]
    assert config.compile == (saved[0] > setup) or config.compile == (saved[1] > setup)
    assert probe.tokens_per_second > 0


@pytest.mark.parametrize(
    ("asked", "long_enough", "timed"), [(5, 0.0, 5), (None, 0.0, 3), (None, 1e9, 8)]
)
def test_slow_steps_are_timed_less_often(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, long_enough: float, timed: int
) -> None:
    done = []

    def counted(*arguments: Any) -> Iterator[StepResult]:
        for result in steps(*arguments):
            done.append(result)
            yield result

    monkeypatch.setattr(probe, "steps", counted)
    monkeypatch.setattr(probe, "_LONG_ENOUGH", long_enough)
    config = dataclasses.replace(CONFIG, compile=False)
    measured = probe_step(config, MODEL, CPU, asked)
    assert len(done) == timed + 2
    assert measured.tokens_per_second == pytest.approx(64 / measured.step_seconds)
