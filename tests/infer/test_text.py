"""Text of tokens that come one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.infer.text import Writer
from groundup.tokenizers import BPE

BYTES = BPE.learned([], "gpt2")


def written(text: str, stop: list[str]) -> tuple[str, bool]:
    """As a token a byte."""
    writer = Writer(BYTES, stop)
    told = ""
    for token in BYTES.encode_ordinary(text):
        told += writer.push(token)
        assert text.startswith(told)  # what is told stays
    return told + writer.finish(), writer.stopped


@given(
    st.text("ab🙂é", max_size=30), st.lists(st.text("ab🙂é", min_size=1, max_size=4), max_size=3)
)
def test_a_text_ends_before_the_first_stop_string(text: str, stop: list[str]) -> None:
    """Bytes are tokens, so every string and every character is cut in all ways. Of two that end at
    different places, the one that is complete first ends it."""
    told, stopped = written(text, stop)
    assert stopped == any(s in text for s in stop)
    if not stopped:
        assert told == text
        return
    ends = min(text.index(s) + len(s) for s in stop if s in text)
    assert told == text[: min(text[:ends].index(s) for s in stop if s in text[:ends])]


def test_what_may_begin_a_stop_string_waits() -> None:
    writer = Writer(BYTES, ["END"])
    assert [writer.push(ord(c)) for c in "xEN"] == ["x", "", ""]
    assert writer.push(ord("O")) == "ENO"
    assert [writer.push(ord(c)) for c in "END"] == ["", "", ""]
    assert writer.stopped
    assert writer.push(ord("y")) + writer.finish() == ""


def test_an_unfinished_character_is_shown_at_the_end() -> None:
    writer = Writer(BYTES)
    assert [writer.push(byte) for byte in "é".encode()[:1]] == [""]
    assert writer.finish() == "�"


def test_an_empty_stop_string_is_one_sentence() -> None:
    with pytest.raises(InputError, match="a stop string is empty"):
        Writer(BYTES, ["a", ""])
