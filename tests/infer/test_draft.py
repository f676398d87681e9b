"""Speculation changes how many passes a text takes, and nothing of the text."""

from dataclasses import replace

import pytest
import torch
from tests.families import CONFIG, KINDS, scrambled

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.infer import Engine, Sampling, draft
from groundup.infer.cache import position_bytes
from groundup.infer.draft import Drafter, DraftModel, PromptLookup
from groundup.infer.sequence import Sequence
from groundup.models import DecoderModel

FLOAT32 = Device(torch.device("cpu"), torch.float32)
STATES = ("mamba", "delta", "hybrid")
ABLE = [kind for kind in KINDS if kind not in STATES]
PROMPTS = [[2, 7] * 9, [8], [1, 2, 3, 4] * 5, [8, 9, 8, 9, 8]]


class Careless:
    """Guesses that are right now and then, and more of them than there is room for."""

    def draft(self, sequences: list[Sequence], most: int) -> None:
        for i, sequence in enumerate(sequences):
            count = min(i % 4 + 1, most // len(sequences) - 1, sequence.left - 1)
            generator = torch.Generator().manual_seed(sequence.length)
            guesses = torch.randint(4, (max(0, count),), generator=generator)
            sequence.drafted = guesses.tolist()


def drafters(model: DecoderModel, rows: int) -> dict[str, Drafter]:
    smaller = scrambled(replace(CONFIG, width=16, depth=1))
    return {
        "careless": Careless(),
        "lookup": PromptLookup(),
        "another model": DraftModel(smaller, FLOAT32, rows=rows),
        "the same model": DraftModel(model, FLOAT32, rows=rows),
    }


@pytest.mark.parametrize("kind", ABLE)
def test_tokens_are_the_same_with_any_drafter(kind: str) -> None:
    model = scrambled(KINDS[kind])
    rules = [
        Sampling(max_tokens=14, temperature=0),
        Sampling(max_tokens=14, temperature=0.7, seed=3, repetition_penalty=1.3, logprobs=2),
    ]
    for sampling in rules:
        expected = Engine(model, FLOAT32, stop=[7]).generate(PROMPTS, sampling)
        for name, drafter in drafters(model, 256).items():
            engine = Engine(model, FLOAT32, stop=[7], drafter=drafter)
            for answer, other in zip(engine.generate(PROMPTS, sampling), expected, strict=True):
                assert (answer.tokens, answer.finish) == (other.tokens, other.finish), name
                for chosen, one in zip(answer.logprobs or [], other.logprobs or [], strict=True):
                    assert chosen.token == one.token
                    assert chosen.logprob == pytest.approx(one.logprob, abs=1e-4)
            assert all(k.pages.free == k.pages.count for k in engine.cache.kinds)


@pytest.mark.parametrize("kind", ["grouped", "shifted", "windowed"])
def test_guesses_take_no_one_s_place(kind: str) -> None:
    """Few rows, and so little memory that sequences give way to each other."""
    model = scrambled(KINDS[kind])
    sampling = Sampling(max_tokens=24, seed=2)
    expected = Engine(model, FLOAT32, stop=[]).generate(PROMPTS, sampling)
    memory = 60 * position_bytes(model.config, torch.float32)
    for name, drafter in drafters(model, 3).items():
        engine = Engine(model, FLOAT32, stop=[], rows=3, at_once=9, memory=memory, drafter=drafter)
        assert engine.generate(PROMPTS, sampling) == expected, name
        assert all(k.pages.free == k.pages.count for k in engine.cache.kinds)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_right_guesses_save_passes(temperature: float) -> None:
    """A drafter that is the model itself is always right: five tokens a pass."""
    model = scrambled(CONFIG)
    drafter = DraftModel(model, FLOAT32, rows=1, longest=4)
    engine = Engine(model, FLOAT32, stop=[], rows=1, drafter=drafter)
    sequence = engine.submit([1, 2, 3], Sampling(max_tokens=41, temperature=temperature))
    passes = 0
    while sequence.finish is None:
        passes += 1
        engine.step()
    assert passes == 1 + 8  # the prompt gives the first token


def test_what_has_stood_in_the_text_is_looked_up() -> None:
    lookup = PromptLookup(longest=4, sizes=(3, 2))
    sequence = Sequence([1, 2, 3, 4, 5, 6, 1, 2, 3], Sampling(), most=20)
    lookup.draft([sequence], 64)
    assert sequence.drafted == [4]  # one at first: trust grows
    sequence.drafted.clear()
    for token in (4, 5):
        sequence.write(token)
    lookup.draft([sequence], 64)
    assert sequence.drafted == [6, 1, 2]
    sequence.drafted.clear()
    sequence.write(9)  # none of it was right
    lookup.draft([sequence], 64)
    assert sequence.drafted == []
    for token in (7, 8, 7, 8):
        sequence.write(token)
    lookup.draft([sequence], 64)
    assert sequence.drafted == [7, 8, 7][: len(sequence.drafted)] != []


def test_guesses_fit_into_a_pass_and_a_text() -> None:
    lookup = PromptLookup(longest=8, sizes=(2,))
    sequences = [Sequence([1, 2] * 6, Sampling(), most=30) for _ in range(16)]
    sequences[0].most = 2
    for _ in range(4):
        lookup.draft(sequences, 64)
    assert sum(len(s.drafted) + 1 for s in sequences) <= 64
    assert len(sequences[0].drafted) <= 1
    lookup.draft(sequences * 5, 64)
    assert not any(s.drafted for s in sequences)


@pytest.mark.parametrize("kind", STATES)
def test_models_with_a_state_are_refused(kind: str) -> None:
    model = scrambled(KINDS[kind])
    with pytest.raises(InputError, match="cannot take tokens back"):
        Engine(model, FLOAT32, stop=[], drafter=PromptLookup())
    with pytest.raises(InputError, match="cannot take tokens back"):
        DraftModel(model, FLOAT32, rows=2)


@pytest.mark.parametrize("at_once", [3, 5, 8])
def test_small_passes_leave_no_room_for_guesses(at_once: int) -> None:
    model = scrambled(CONFIG)
    prompts = [[1 + i % 5] for i in range(8)]
    sampling = Sampling(max_tokens=40, temperature=0)
    expected = Engine(model, FLOAT32, stop=[]).generate(prompts, sampling)
    drafter = DraftModel(model, FLOAT32, rows=16)
    engine = Engine(model, FLOAT32, stop=[], rows=16, at_once=at_once, drafter=drafter)
    assert engine.generate(prompts, sampling) == expected


def test_a_long_prompt_is_drafted_for_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "_CHUNK", 7)
    model = scrambled(CONFIG)
    drafter = DraftModel(model, FLOAT32, rows=1, longest=4)
    engine = Engine(model, FLOAT32, stop=[], rows=1, drafter=drafter)
    sequence = engine.submit([*range(30)], Sampling(max_tokens=11, temperature=0))
    passes = 0
    while sequence.finish is None:
        passes += 1
        engine.step()
    assert passes == 1 + 2
