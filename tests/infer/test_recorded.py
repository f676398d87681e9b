"""Passes that are recorded, against those that are not: here by Triton's interpreter, which plays
nothing back, and on a GPU as graphs."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from tests.families import CONFIG, KINDS, scrambled

from groundup.core.device import Device
from groundup.infer import Engine, Sampling
from groundup.kernels import at_hand, cpu
from groundup.layers import MoE

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

FLOAT32 = Device(torch.device("cpu"), torch.float32)
RECORDED = [
    "grouped", "shifted", "shifted and borrowing", "windowed", "capped with sinks", "latent",
    "no positions", "positions in turn",
]  # fmt: skip
PROMPTS = [[3, 1, 4, 1, 5], [9], list(range(20))]
SAMPLING = Sampling(max_tokens=19, temperature=0.8, seed=3)


@pytest.mark.parametrize("kind", RECORDED)
def test_what_is_played_is_what_is_computed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sequences, one after the other of which ends: passes over four places, two, and one."""
    model = scrambled(KINDS[kind])
    expected = Engine(model, FLOAT32, stop=[]).generate(PROMPTS, SAMPLING)
    monkeypatch.setattr(cpu, "takes", lambda *_: False)
    monkeypatch.setattr(at_hand, "has_kernels", lambda _: True)
    engine = Engine(model, FLOAT32, stop=[])
    for seed, most in enumerate([19, 12, 5]):
        engine.submit(PROMPTS[seed], replace(SAMPLING, max_tokens=most), seed)
    running = list(engine._scheduler.waiting)
    while any(sequence.finish is None for sequence in running):
        engine.step()
    for sequence, whole in zip(running, expected, strict=True):
        assert sequence.written == whole.tokens[: sequence.most]
    assert engine._recordings is not None
    assert sorted(engine._recordings._of) == [1, 2, 4]


def test_what_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_hand, "has_kernels", lambda _: True)
    experts = replace(CONFIG, mlp=MoE(experts=4, active=2, hidden=16))
    for config in (KINDS["alibi"], KINDS["relative"], KINDS["mamba"], KINDS["delta"], experts):
        assert Engine(scrambled(config), FLOAT32, stop=[])._recordings is None
