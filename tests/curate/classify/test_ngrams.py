"""Buckets: the compiled core against the reference, and both against n-grams written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.native import core
from groundup.curate.classify import Ngrams

KINDS = st.builds(
    Ngrams,
    bits=st.integers(1, 30),
    words=st.integers(1, 5),
    shortest=st.integers(1, 6),
    longest=st.integers(0, 15),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@given(KINDS, st.lists(TEXTS, max_size=3))
def test_the_core_finds_the_buckets_of_the_reference(kind: Ngrams, texts: list[str]) -> None:
    numbers, ends = kind.buckets(texts)
    for text, part in zip(texts, np.split(numbers, ends[:-1] if texts else []), strict=False):
        assert sorted(part) == sorted(kind.reference(text))
    assert len(ends) == len(texts)


def test_words_pairs_and_characters_fall_into_buckets() -> None:
    """With so many buckets no two of these fall into one: what texts share is then known."""
    kind = Ngrams(bits=30, words=2, shortest=2, longest=3)

    def buckets(text: str) -> set[int]:
        return set(kind.buckets([text]).numbers.tolist())

    # cat, sat, the pair; <c ca at t> <ca cat at>, <s sa <sa sat
    assert len(buckets("Cat sat")) == 3 + 7 + 4
    assert buckets("cat") < buckets("cat sat")
    # sat, cat and their characters, but not the pair
    assert len(buckets("cat sat") & buckets("sat cat")) == 2 + 7 + 4
    assert len(buckets("!")) == 1  # a symbol has no rows of characters
    assert len(buckets("été")) == 1 + 4 + 3
    assert buckets("") == set()


@pytest.mark.parametrize("options", [{"bits": 31}, {"words": 0}, {"shortest": 0}, {"longest": 16}])
def test_what_cannot_be_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="are 1 to"):
        Ngrams(**options)
