"""Cues: what they are, and the compiled core against the reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.native import core
from groundup.curate.privacy import cues as module
from groundup.curate.privacy.cues import find_cues, reference

PARTS = [
    "a",
    "Z",
    "f",
    "g",
    "0",
    "19",
    "1234",
    ":",
    "::",
    "-",
    "@",
    " ",
    ".",
    "\n",
    "é",
    "中",
    "🙂",
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=200).map("".join),
    st.text(st.characters(max_codepoint=0x7F)),
    st.text(),
)


@pytest.mark.parametrize(
    ("cue", "text", "parts"),
    [
        ("at", "a@b, @c d@ @", ["@"]),
        ("number", "12 34.56; 7 8 9 and then 1234", ["12 34.56; 7 8 9"]),
        ("number", "1.2.3.4 but 1.2.3", ["1.2.3.4"]),
        ("code", "abc12345 abcdefgh 12345678 ab_c1234567", ["abc12345", "c1234567"]),
        ("hex", "fe80::1 12:30:45 a::b 00:1a:2b:3c:4d:5e", ["fe80::1", "00:1a:2b:3c:4d:5e"]),
    ],
)
def test_what_a_cue_is(cue: module.Cue, text: str, parts: list[str]) -> None:
    assert [text[begin:end] for begin, end in find_cues(text)[cue]] == parts


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@given(TEXTS)
def test_the_core_finds_what_the_reference_finds(text: str) -> None:
    assert core is not None
    assert core.cues(text) == reference(text)


@given(TEXTS)
def test_the_reference_serves_without_the_core(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        with_core = find_cues(text)
        patch.setattr(module, "core", None)
        assert find_cues(text) == with_core
