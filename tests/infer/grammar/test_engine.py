"""Texts of a given form, as an engine writes them."""

import json
import re
from dataclasses import replace

import pytest
import torch
from tests.families import CONFIG, scrambled

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.infer import Engine, Sampling
from groundup.infer.draft import PromptLookup
from groundup.infer.grammar import Grammars
from groundup.models import DecoderModel
from groundup.tokenizers import BPE

FLOAT32 = Device(torch.device("cpu"), torch.float32)
TOKENIZER = BPE.learned([(101, 102), (34, 34), (256, 10)], "gpt2", ["<|end|>"])
END = TOKENIZER.special_tokens["<|end|>"]
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog"]}, "n": {"type": "integer"}},
    "required": ["kind", "n"],
}


@pytest.fixture(scope="module")
def model() -> DecoderModel:
    return scrambled(replace(CONFIG, vocab_size=TOKENIZER.vocab_size + 4, context=200))


@pytest.fixture(scope="module")
def grammars(model: DecoderModel) -> Grammars:
    return Grammars(TOKENIZER, model.config.vocab_size, [END])


@pytest.mark.parametrize("drafter", [None, PromptLookup()])
@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_texts_have_the_form(
    model: DecoderModel, grammars: Grammars, temperature: float, drafter: PromptLookup | None
) -> None:
    """Beside texts without one; each as it is alone."""
    engine = Engine(model, FLOAT32, stop=[END], never=range(260, 264), drafter=drafter)
    forms = [grammars.regex("[a-f]{3,9}(-[0-9]+)?"), grammars.schema(SCHEMA), None]
    sequences = []
    for i in range(12):
        sampling = Sampling(
            max_tokens=80, temperature=temperature, seed=i, grammar=forms[i % 3], logprobs=1
        )
        sequences.append(engine.submit([1, 2, 3], sampling))
    while engine.running or engine.waiting:
        engine.step()
    for i, sequence in enumerate(sequences):
        done = sequence.completion()
        if i < 3:
            assert engine.generate([[1, 2, 3]], sequence.sampling)[0].tokens == done.tokens
        text = TOKENIZER.decode(done.tokens)
        assert done.logprobs is not None
        assert [chosen.token for chosen in done.logprobs] == done.tokens
        if done.finish == "length":
            continue
        if i % 3 == 0:
            assert re.fullmatch("[a-f]{3,9}(-[0-9]+)?", text)
        elif i % 3 == 1:
            value = json.loads(text)
            assert [*value] == ["kind", "n"]
            assert value["kind"] in ("cat", "dog")
            assert isinstance(value["n"], int)


def test_a_text_that_can_only_end_ends(model: DecoderModel, grammars: Grammars) -> None:
    """Without a stop token; nothing of the text is lost."""
    engine = Engine(model, FLOAT32, stop=[])
    answer = engine.generate([[1]], Sampling(grammar=grammars.regex("abc|abd")))[0]
    assert answer.finish == "stop"
    assert TOKENIZER.decode(answer.tokens) in ("abc", "abd")


def test_biases_and_bans_do_not_break_the_form(model: DecoderModel, grammars: Grammars) -> None:
    engine = Engine(model, FLOAT32, stop=[END])
    sampling = Sampling(grammar=grammars.regex("x+y"), logit_bias=((65, 100.0), (END, 100.0)))
    for answer in engine.generate([[1], [2]], sampling):
        assert re.fullmatch("x+y?", TOKENIZER.decode(answer.tokens))


def test_a_grammar_that_grows_too_large_fails_alone(
    model: DecoderModel, grammars: Grammars
) -> None:
    engine = Engine(model, FLOAT32, stop=[END])
    well = engine.submit([1], Sampling(max_tokens=40, temperature=0))
    ill = engine.submit([1], Sampling(grammar=grammars.regex("x(a?b?){600}c")))
    while engine.running or engine.waiting:
        engine.step()
    assert ill.finish == "failed"
    assert "make it simpler" in str(ill.error)
    assert well.finish == "length"
    with pytest.raises(InputError, match="make it simpler"):
        engine.generate([[1]], ill.sampling)
    with pytest.raises(InputError, match="make it simpler"):
        list(engine.stream([1], ill.sampling))
    assert engine.running == 0


def test_what_no_token_spells_is_refused(model: DecoderModel) -> None:
    grammars = Grammars(BPE.learned([], "gpt2"), 100, [])  # no byte of é
    engine = Engine(model, FLOAT32, stop=[])
    with pytest.raises(InputError, match="no token for what must come next"):
        engine.submit([1], Sampling(grammar=grammars.regex("é")))
