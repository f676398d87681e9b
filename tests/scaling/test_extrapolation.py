"""What a law fitted to the smaller trainings says of the larger ones."""

import numpy as np
import pytest

from groundup.core.errors import InputError
from groundup.scaling.chinchilla import Law
from groundup.scaling.extrapolation import leave_largest_out
from groundup.scaling.points import Points

PLANTED = Law(E=1.7, A=400.0, B=1000.0, alpha=0.34, beta=0.32)


def grid(noise: float = 0.0) -> Points:
    flops = np.repeat([1e17, 1e18, 1e19, 1e20], 7)
    best = np.array([PLANTED.best(one)[0] for one in flops])
    N = best * np.tile(np.exp(np.linspace(-1, 1, 7)), 4)
    D = flops / (6 * N)
    draw = np.random.default_rng(0)
    return Points(N, D, flops, PLANTED.loss(N, D) * np.exp(noise * draw.normal(size=28)))


def test_of_exact_points_the_largest_are_predicted_exactly() -> None:
    found = leave_largest_out(grid())
    assert found.predicted == 7  # the budget of 1e20, whole
    assert found.largest_fitted == pytest.approx(1e19)
    assert found.reach == pytest.approx(10)
    assert found.worst < 1e-4


def test_noise_is_in_the_error() -> None:
    found = leave_largest_out(grid(noise=0.01))
    assert 0.002 < found.error < 0.03
    assert found.error <= found.worst


def test_one_budget_predicts_nothing() -> None:
    points = grid()
    with pytest.raises(InputError, match="all trainings have one budget"):
        leave_largest_out(points.where(np.arange(7)))
