"""The constant-memory shuffle is a permutation, and looks like a random one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.data.shuffle import permute


@given(st.integers(1, 3000), st.integers(0, 2**63 - 1))
def test_every_index_is_hit_once(size: int, seed: int) -> None:
    image = permute(np.arange(size), size, seed)
    assert sorted(image.tolist()) == list(range(size))


def test_one_index_at_a_time_gives_the_same() -> None:
    size = 1000
    whole = permute(np.arange(size), size, 7)
    assert [int(permute(np.array([i]), size, 7)[0]) for i in range(0, size, 97)] == [
        int(whole[i]) for i in range(0, size, 97)
    ]


def test_a_trillion_indices_cost_nothing() -> None:
    image = permute(np.array([0, 1, 10**12 - 1]), 10**12, 3)
    assert len(set(image.tolist())) == 3
    assert (image < 10**12).all()


def test_other_seeds_give_other_orders() -> None:
    orders = {tuple(permute(np.arange(50), 50, seed).tolist()) for seed in range(100)}
    assert len(orders) == 100


@pytest.mark.parametrize("size", [64, 1000])
def test_places_are_uniform(size: int) -> None:
    """Where index 0 lands over many seeds: chi-square within six standard deviations."""
    seeds, cells = 2000, 16
    landed = [int(permute(np.array([0]), size, seed)[0]) * cells // size for seed in range(seeds)]
    expected = seeds / cells
    chi2 = ((np.bincount(landed, minlength=cells) - expected) ** 2 / expected).sum()
    degrees = cells - 1
    assert abs(chi2 - degrees) < 6 * (2 * degrees) ** 0.5


def test_neighbours_do_not_stay_neighbours() -> None:
    image = permute(np.arange(4096), 4096, 11)
    assert abs(np.corrcoef(np.arange(4096), image)[0, 1]) < 6 / 4096**0.5
