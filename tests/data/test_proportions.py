"""Shares of a mixture: those asked for, as far as the sources reach."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.data.proportions import claims_by_size, proportions

SOURCES = st.lists(st.tuples(st.integers(1, 10**12), st.floats(0.01, 100)), min_size=1, max_size=8)


@given(SOURCES, st.floats(0.1, 10), st.floats(0.001, 1))
def test_all_is_given_and_no_source_gives_more_than_it_has(
    sources: list[tuple[int, float]], max_epochs: float, share: float
) -> None:
    sizes, claims = map(list, zip(*sources, strict=True))
    tokens = share * sum(max_epochs * size for size in sizes)
    found = proportions(sizes, claims, tokens, max_epochs)
    assert sum(one.tokens for one in found) == pytest.approx(tokens)
    assert sum(one.share for one in found) == pytest.approx(1)
    for one, size in zip(found, sizes, strict=True):
        assert one.epochs == pytest.approx(one.tokens / size)
        assert one.epochs <= max_epochs * (1 + 1e-9)
    # The law of filling: who is not full gets as much for its claim as the others that are not, and
    # who is full gets less than that.
    rates = [one.tokens / claim for one, claim in zip(found, claims, strict=True)]
    full = [one.epochs >= max_epochs * (1 - 1e-9) for one in found]
    level = max(rates)
    for rate, is_full in zip(rates, full, strict=True):
        assert is_full or rate == pytest.approx(level)


def test_by_hand() -> None:
    """Thirds of 90 are 30 each; the first has but 20 in two epochs, so the others give 35."""
    found = proportions([10, 100, 100], [1, 1, 1], 90, 2)
    assert [one.tokens for one in found] == [20, 35, 35]
    assert [one.epochs for one in found] == [2, 0.35, 0.35]
    # what the first leaves fills the second, too: 60 − 10, then 25 each, of which it has 20
    found = proportions([10, 20, 100], [1, 1, 1], 60, 1)
    assert [one.tokens for one in found] == [10, 20, 30]


def test_temperature_goes_from_sizes_to_equal_shares() -> None:
    """mT5's 0.3 (Xue et al. 2021, section 3.1), by hand: 1000^0.3 is 7.94."""
    assert claims_by_size([1000, 1], 1) == [1, 0.001]
    assert claims_by_size([1000, 1], 1 / 0.3)[1] == pytest.approx(1 / 7.943, rel=1e-3)
    assert claims_by_size([10**15, 1], 1e9) == pytest.approx([1, 1])


@given(SOURCES)
def test_without_a_cap_shares_are_the_claims(sources: list[tuple[int, float]]) -> None:
    sizes, claims = map(list, zip(*sources, strict=True))
    found = proportions(sizes, claims, 1e15)
    np.testing.assert_allclose([one.share for one in found], np.array(claims) / math.fsum(claims))


def test_more_than_there_is_is_refused() -> None:
    with pytest.raises(InputError, match="have 30 tokens, and 4 epochs of them are less than 121"):
        proportions([10, 20], [1, 1], 121, 4)
    assert sum(one.tokens for one in proportions([10, 20], [1, 1], 120, 4)) == 120
