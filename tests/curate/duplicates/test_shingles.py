"""Shingles against sets of words in a row, and the compiled core against the reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.native import core
from groundup.curate.duplicates import shingles as module
from groundup.curate.duplicates.shingles import jaccard, shingles, shingles_in_order, words

WIDTHS = st.integers(1, 6)
# few words, so that texts share some; and what a word may end at
PROSE = st.lists(st.sampled_from(["The", "the", "cat", "é", "中文", "naïve", "a\u00a0b", "x\x1cy"]))
TEXTS = st.one_of(PROSE.map(" ".join), st.text(st.characters(exclude_categories=["Cs"])))


def rows(text: str, width: int, punctuation: bool = False) -> set[tuple[str, ...]]:
    found = words(text, punctuation)
    return {tuple(found[i : i + width]) for i in range(max(1, len(found) - width + 1)) if found}


@given(TEXTS, WIDTHS)
def test_each_row_of_words_has_a_hash_of_its_own(text: str, width: int) -> None:
    hashes = shingles(text, width)
    assert len(hashes) == len(rows(text, width))
    assert (np.diff(hashes.astype(object)) > 0).all()


@given(TEXTS, TEXTS, WIDTHS)
def test_jaccard_is_that_of_the_rows(one: str, other: str, width: int) -> None:
    a, b = rows(one, width), rows(other, width)
    expected = len(a & b) / len(a | b) if a | b else 0.0
    assert jaccard(shingles(one, width), shingles(other, width)) == expected


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@given(TEXTS, WIDTHS, st.booleans())
def test_the_core_makes_the_hashes_of_the_reference(
    text: str, width: int, punctuation: bool
) -> None:
    expected = np.unique(np.array(shingles_in_order(text, width, punctuation), dtype=np.uint64))
    np.testing.assert_array_equal(shingles(text, width, punctuation=punctuation), expected)


def test_words_are_rows_of_letters_and_digits_and_each_character_of_han() -> None:
    text = "Don't “PANIC”,\u3000Été_5!\x1f東京タワー, 2\u20093 हिन्दी। می\u200cخواهم؟"
    letters = ["don", "t", "panic", "été", "5", "東", "京", "タ", "ワ", "ー", "2", "3"]
    assert words(text, punctuation=False) == [*letters, "हिन्दी", "می\u200cخواهم"]


@given(st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xDFF)))
def test_with_punctuation_words_are_what_stands_between_white_space(text: str) -> None:
    assert words(text, punctuation=True) == text.lower().split()


def test_the_reference_serves_without_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    with_core = shingles("one two three four five six"), shingles("two three four five six")
    share = jaccard(*with_core)
    monkeypatch.setattr(module, "core", None)
    without = shingles("one two three four five six"), shingles("two three four five six")
    np.testing.assert_array_equal(with_core[0], without[0])
    assert jaccard(*without) == share == 0.5
