"""Passes that are played back, against those of a processor: by Triton's interpreter, where each is
computed anew, or on a GPU, as graphs."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from tests.families import CONFIG, KINDS, PLAIN, scrambled
from tests.kernels.oracle import DEVICE, ON_GPU

from groundup.core.device import Device
from groundup.infer import Engine, Sampling
from groundup.infer.cache import PAGE, position_bytes
from groundup.infer.draft import PromptLookup
from groundup.kernels import at_hand, cpu
from groundup.layers import Learned, MoE
from groundup.models import DecoderModel

pytestmark = [
    pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed"),
    *([pytest.mark.gpu] if ON_GPU else []),
]

PROCESSOR = Device(torch.device("cpu"), torch.float32)
THERE = Device(torch.device(DEVICE), torch.float32)
RECORDED = {
    **{
        name: KINDS[name]
        for name in (
            "grouped", "shifted", "shifted and borrowing", "windowed", "capped with sinks",
            "latent", "no positions", "positions in turn",
        )
    },
    "biased": replace(CONFIG, attention=replace(PLAIN, bias=True, output_bias=True)),
    "tied, learned positions": replace(CONFIG, tied=True, position=Learned()),
}  # fmt: skip
# The others' parts are the same ones; the interpreter takes seven seconds for each.
OFTEN = {"shifted and borrowing", "windowed", "latent", "biased"}
PROMPTS = [[3, 1, 4, 1, 5], [9], list(range(20))]
SAMPLING = Sampling(max_tokens=19, temperature=0.8, seed=3)


def by_kind(kind: str) -> Any:
    return pytest.param(kind, marks=[] if kind in OFTEN else [pytest.mark.slow])


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A GPU's, wherever a model is."""
    with monkeypatch.context() as patch:
        if not ON_GPU:
            patch.setattr(cpu, "takes", lambda *_: False)
            patch.setattr(at_hand, "has_kernels", lambda _: True)
        yield patch


def expected(model: DecoderModel, prompts: list[list[int]], **rules: Any) -> list[list[int]]:
    """What a processor writes, without kernels and recordings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(at_hand, "has_kernels", lambda _: False)
        engine = Engine(model, PROCESSOR, stop=[], **rules)
        assert engine._recordings is None
        return [answer.tokens for answer in engine.generate(prompts, SAMPLING)]


@pytest.mark.parametrize("kind", [by_kind(kind) for kind in RECORDED])
def test_what_is_played_is_what_is_computed(kind: str) -> None:
    """Three sequences, which end one after the other: passes over four places, two, and one."""
    model = scrambled(RECORDED[kind])
    whole = expected(model, PROMPTS)
    engine = Engine(model, THERE, stop=[])
    running = [
        engine.submit(PROMPTS[i], replace(SAMPLING, max_tokens=most), i)
        for i, most in enumerate([19, 12, 5])
    ]
    while any(sequence.finish is None for sequence in running):
        engine.step()
    for sequence, tokens in zip(running, whole, strict=True):
        assert sequence.written == tokens[: sequence.most]
    assert engine._recordings is not None
    assert sorted(engine._recordings._of) == [1, 2, 4]


def test_weights_in_eight_bits() -> None:
    model = scrambled(CONFIG)
    whole = expected(model, PROMPTS[:1], weights="int8")
    answers = Engine(model, THERE, stop=[], weights="int8").generate(PROMPTS[:1], SAMPLING)
    assert [answer.tokens for answer in answers] == whole


def test_pages_that_others_have_computed_are_not_written() -> None:
    """A prompt that is there entirely: its last token is read once more, by a pass of one token."""
    model = scrambled(KINDS["shifted"])
    prompt = list(range(2 * PAGE))
    whole = expected(model, [prompt])[0]
    engine = Engine(model, THERE, stop=[])
    for _ in range(2):
        assert engine.generate([prompt], SAMPLING)[0].tokens == whole[: 48 - 2 * PAGE]
        pools = [pool[PAGE:].clone() for pool in engine.cache.keys.values()]
    engine.submit(prompt, SAMPLING)
    engine.step()
    for pool, before in zip(engine.cache.keys.values(), pools, strict=True):
        assert torch.equal(pool[PAGE : 3 * PAGE], before[: 2 * PAGE])


def test_sequences_that_wait_go_on_as_they_were() -> None:
    """Where there is room for the pages of one and a half, and one is taken back meanwhile."""
    model = scrambled(KINDS["shifted"])
    prompts = [[1, 2, 3], [4, 5], [6]]
    whole = expected(model, prompts)
    room = 4 * PAGE * position_bytes(model.config, torch.float32)
    engine = Engine(model, THERE, stop=[], memory=room)
    running = [engine.submit(prompt, SAMPLING, i) for i, prompt in enumerate(prompts)]
    for _ in range(3):
        engine.step()
    engine.cancel(running[1])
    while any(sequence.finish is None for sequence in running):
        engine.step()
    for i in (0, 2):
        assert running[i].written == whole[i]


def test_guesses_take_turns_with_recordings() -> None:
    model = scrambled(CONFIG)
    prompts = [[1, 2, 3, 1, 2, 3, 1, 2], [7]]
    whole = expected(model, prompts)
    engine = Engine(model, THERE, stop=[], drafter=PromptLookup())
    assert [a.tokens for a in engine.generate(prompts, SAMPLING)] == whole
    assert engine._recordings is not None
    assert engine._recordings._of


def test_what_cannot_be_recorded() -> None:
    experts = replace(CONFIG, mlp=MoE(experts=4, active=2, hidden=16))
    for config in (KINDS["alibi"], KINDS["relative"], KINDS["mamba"], KINDS["delta"], experts):
        assert Engine(scrambled(config), THERE, stop=[])._recordings is None
