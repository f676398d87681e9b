"""Rows of words that repeat: by hand, by datatrove's formula, core against reference."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.native import core
from groundup.curate.rules import rows as module
from groundup.curate.rules.rows import REPEATED, TOP, reference, repeated_rows

WORDS = st.lists(st.sampled_from(["a", "be", "cat", "cats", "é", "🙂"]), max_size=60)
PERIODIC = st.tuples(WORDS, st.integers(1, 4)).map(lambda pair: pair[0] * pair[1])
TEXTS = st.one_of(
    st.one_of(WORDS, PERIODIC).map(" ".join), st.text(st.characters(exclude_categories=["Cs"]))
)


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@given(TEXTS)
def test_the_core_counts_as_the_reference_does(text: str) -> None:
    assert repeated_rows(text) == reference(text)


@given(st.one_of(WORDS, PERIODIC), st.sampled_from(TOP))
def test_the_most_frequent_row_is_counted_as_often_as_it_occurs(words: list[str], n: int) -> None:
    counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    most = max(counts.values(), default=0)
    lengths = [sum(map(len, row)) + n - 1 for row, count in counts.items() if count == most]
    expected = most * max(lengths) if most > 1 else 0
    assert repeated_rows(" ".join(words))[n] == expected


@given(st.one_of(WORDS, PERIODIC), st.sampled_from(REPEATED))
def test_repeated_rows_are_those_of_datatrove(words: list[str], n: int) -> None:
    """Its `find_all_duplicate`, with spaces that keep words apart."""
    unique: set[str] = set()
    repeated = i = 0
    while i < len(words) - n + 1:
        row = " ".join(words[i : i + n])
        if row in unique:
            repeated += len(row) - (n - 1)
            i += n
        else:
            unique.add(row)
            i += 1
    assert repeated_rows(" ".join(words))[n] == repeated


def test_rows_by_hand() -> None:
    text = "one two three four five six, one two three four five seven"
    rows = repeated_rows(text)
    assert rows[2] == 2 * len("three four")  # of four pairs that occur twice, the longest
    assert rows[3] == 2 * len("three four five")
    assert rows[4] == 2 * len("two three four five")
    assert rows[5] == len("onetwothreefourfive")
    assert rows[6] == rows[10] == 0


def test_what_occurs_once_is_no_repetition() -> None:
    assert set(repeated_rows("each of these words is here but once").values()) == {0}
    assert set(repeated_rows("").values()) == {0}


def test_the_reference_serves_without_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "core", None)
    assert repeated_rows("a b a b")[2] == 6
