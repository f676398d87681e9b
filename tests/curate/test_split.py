import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.curate.split import at_least_one, choose_validation, falls_short

SIZES = st.dictionaries(st.binary(min_size=16, max_size=16), st.integers(1, 10**6))


def library(seed, count=734):
    """Sizes as those of source files: log-normal, from a few bytes to a megabyte."""
    chance = random.Random(seed)
    return {
        chance.randbytes(16): min(800_000, int(chance.lognormvariate(9, 1.3)) + 1)
        for _ in range(count)
    }


def share(chosen, sizes):
    return sum(sizes[digest] for digest in chosen) / sum(sizes.values())


@pytest.mark.parametrize("seed", range(20))
def test_files_of_very_different_sizes_give_the_share_to_half_a_point(seed):
    sizes = library(seed)
    assert share(choose_validation(sizes, 0.05, seed), sizes) == pytest.approx(0.05, abs=0.0051)


@given(SIZES, st.integers(0, 3))
def test_the_order_in_which_documents_come_does_not_matter(sizes, seed):
    backwards = dict(reversed(sizes.items()))
    assert choose_validation(sizes, 0.2, seed) == choose_validation(backwards, 0.2, seed)


@given(SIZES, st.floats(0.01, 0.5))
def test_validation_never_takes_more_than_a_tenth_above_its_share(sizes, wanted):
    chosen = choose_validation(sizes, wanted, 0)
    assert chosen <= sizes.keys()
    assert sum(sizes[digest] for digest in chosen) <= sum(sizes.values()) * wanted * 1.1


def test_another_seed_chooses_other_documents():
    sizes = library(0)
    choices = [frozenset(choose_validation(sizes, 0.05, seed)) for seed in range(5)]
    assert len(set(choices)) == 5


def test_large_documents_are_passed_over_and_too_few_fall_short():
    sizes = {bytes([n]) * 16: 100 for n in range(3)}
    assert choose_validation(sizes, 0.05, 0) == set()
    assert falls_short(set(), sizes, 0.05)
    sizes |= {bytes([n]) * 16: 1 for n in range(10, 26)}
    chosen = choose_validation(sizes, 0.05, 0)
    assert share(chosen, sizes) == pytest.approx(0.05, abs=0.005)
    assert not falls_short(chosen, sizes, 0.05)


def test_both_sides_get_a_document_where_there_are_two():
    sizes = {b"a": 10, b"b": 7}
    assert at_least_one(set(), sizes, "mine") == {b"b"}
    assert at_least_one({b"a"}, sizes, "mine") == {b"a"}


def test_one_document_cannot_be_split():
    with pytest.raises(InputError, match="mine has 1 usable document .* at least two documents"):
        at_least_one(set(), {b"a": 10}, "mine")
