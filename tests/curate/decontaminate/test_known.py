"""Known shingles in a text: those that a search for rows of words finds, and where they stand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.native import core
from groundup.curate.decontaminate import known as module
from groundup.curate.decontaminate.known import Known
from groundup.curate.duplicates import shingles as shingles_module
from groundup.curate.duplicates.shingles import rows, shingles, word_spans, words

# few words, so that rows come again; İ is two characters in lower case
WORDS = ["The", "the", "cat", "é", "中文", "İstanbul", "İ", "a\u00a0b", "x,y", "Σας", "ΟΔΟΣ"]
TEXTS = st.lists(st.sampled_from(WORDS)).map(" ".join)


@given(TEXTS, st.lists(TEXTS, max_size=4), st.integers(1, 4), st.booleans())
def test_what_is_found_are_the_rows_of_words_that_are_known(
    text: str, others: list[str], width: int, compiled: bool
) -> None:
    hashes = np.unique(rows(others, width)[0])
    in_order = [words(other, punctuation=False) for other in others]
    known = {tuple(w[i : i + width]) for w in in_order for i in range(len(w) - width + 1)}
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(module, "core", None)
            patch.setattr(shingles_module, "core", None)
        numbers, begins, ends = Known(width, hashes).find(text)
    found = words(text, punctuation=False)
    there = [tuple(found[i : i + width]) for i in range(len(found) - width + 1)]
    assert [tuple(words(text[b:e], False)) for b, e in zip(begins, ends, strict=True)] == [
        row for row in there if row in known
    ]
    for number, begin, end in zip(numbers, begins, ends, strict=True):
        assert shingles(text[begin:end], width) == hashes[number]


def test_places_are_of_the_text_as_it_is() -> None:
    text = "“İİ”, in İzmir — and beyond"
    known = Known(2, shingles("IN İzmir", 2))
    assert known.find(text).tolist() == [[0], [6], [14]]
    assert text[6:14] == "in İzmir"
    assert word_spans("Ab, c!", punctuation=False) == [(0, 2), (4, 5)]


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
def test_of_many_known_ones_and_others_each_is_told() -> None:
    inside = " ".join(f"in{n}" for n in range(20_000))
    outside = " ".join(f"out{n}" for n in range(20_000))
    known = Known(3, shingles(inside, 3))
    assert known.find(f"{outside} {inside} {outside}").shape == (3, 19_998)
    assert known.find(outside).size == 0
    assert Known(3, shingles("", 3)).find(inside).size == 0
