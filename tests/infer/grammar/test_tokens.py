"""Masks over tokens against reading each token by itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.infer.grammar import Grammars, TokenBytes, TokenGrammar
from groundup.infer.grammar.automaton import DEAD, Automaton
from groundup.infer.grammar.regex import regex_grammar
from groundup.infer.grammar.schema import json_grammar
from groundup.tokenizers import BPE, train_bpe

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}}
TEXT = '{"name": "Zoë", "n": 12} {"n": -3, "name": "a name"}\n' * 50


@pytest.fixture(scope="module")
def tokenizer() -> BPE:
    return train_bpe([TEXT], vocab_size=273, special_tokens=["<|end|>"])


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 400), max_size=12), st.sampled_from([None, "(na|me|n ?)*é?", "[^n]*"])
)
def test_a_token_is_allowed_if_its_bytes_are(
    tokenizer: BPE, choices: list[int], pattern: str | None
) -> None:
    grammar = json_grammar(SCHEMA) if pattern is None else regex_grammar(pattern)
    end, size = tokenizer.special_tokens["<|end|>"], tokenizer.vocab_size + 3
    masks = TokenGrammar(grammar, TokenBytes(tokenizer, size, [end]))
    alone = Automaton(grammar)
    state, there = masks.start, alone.start
    for choice in choices:
        mask = masks.allowed(state)
        for token, raw in tokenizer.vocabulary.ordinary.items():
            assert bool(mask[token]) == (alone.read(there, raw) != DEAD)
        assert bool(mask[end]) == alone.accepts(there)
        assert not mask[tokenizer.vocab_size :].any()
        able = [int(t) for t in torch.nonzero(mask)[:, 0] if t != end]
        if not able:
            assert masks.ended(state)
            break
        token = able[choice % len(able)]
        state = masks.after(state, token)
        there = alone.read(there, tokenizer.token_bytes(token))


def test_what_the_vocabulary_cannot_spell_is_one_sentence() -> None:
    grammars = Grammars(BPE.learned([], "gpt2"), 128, [])  # a model of half of the bytes
    grammar = grammars.regex("aé")
    with pytest.raises(InputError, match="no token for what must come next"):
        grammar.allowed(grammar.after(grammar.start, ord("a")))


def test_grammars_are_kept(tokenizer: BPE) -> None:
    grammars = Grammars(tokenizer, tokenizer.vocab_size, [])
    first = grammars.schema(SCHEMA)
    assert grammars.schema(dict(SCHEMA)) is first
    for i in range(40):
        grammars.regex(f"a{{{i + 1}}}")
    assert grammars.schema(SCHEMA) is not first
