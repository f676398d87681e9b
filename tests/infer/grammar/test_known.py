"""Grammars that are kept: made once, and never in the way of others."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from groundup.core.errors import InputError
from groundup.infer.grammar import Grammars, known
from groundup.infer.grammar.regex import regex_grammar
from groundup.tokenizers import BPE


def test_one_that_takes_long_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, made = Event(), Event(), []

    def slow(pattern: str) -> Any:
        made.append(pattern)
        if pattern == "slow":
            begun.set()
            assert go_on.wait(60)
        return regex_grammar(pattern)

    monkeypatch.setattr(known, "regex_grammar", slow)
    grammars = Grammars(BPE.learned([], "gpt2"), 256, [])
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(grammars.regex, "slow") for _ in range(2)]
        assert begun.wait(60)
        assert grammars.regex("a") is grammars.regex("a")
        go_on.set()
        assert waiting[0].result(60) is waiting[1].result(60)
    assert sorted(made) == ["a", "slow"]


def test_one_that_cannot_be_made_is_refused_each_time() -> None:
    grammars = Grammars(BPE.learned([], "gpt2"), 256, [])
    for _ in range(2):
        with pytest.raises(InputError):
            grammars.regex("(")


def test_very_many_names_beside_others_are_refused() -> None:
    grammars = Grammars(BPE.learned([], "gpt2"), 256, [])
    schema: dict[str, Any] = {"properties": {f"{i:062d}": True for i in range(200)}}
    grammars.schema(schema)
    with pytest.raises(InputError, match="more than 8,192 bytes"):
        grammars.schema({**schema, "additionalProperties": True})
