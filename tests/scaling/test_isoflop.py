"""IsoFLOP profiles of planted laws, and of budgets that have no minimum."""

import numpy as np
import pytest

from groundup.core.errors import InputError
from groundup.scaling.chinchilla import Law
from groundup.scaling.isoflop import budgets_of, fit_isoflop, fit_parabola, resampled
from groundup.scaling.points import Points

PLANTED = Law(E=1.7, A=400.0, B=1000.0, alpha=0.34, beta=0.34)
BUDGETS = (1e17, 1e18, 1e19, 1e20)


def profile(flops: float, span: float = 0.7, count: int = 7) -> Points:
    N = PLANTED.best(flops)[0] * np.exp(np.linspace(-span, span, count))
    D = flops / (6 * N)
    return Points(N, D, np.full(count, flops), PLANTED.loss(N, D))


def joined(*parts: Points) -> Points:
    columns = zip(*((p.parameters, p.tokens, p.flops, p.loss) for p in parts), strict=True)
    return Points(*map(np.concatenate, columns))


def test_the_minima_are_those_of_the_law() -> None:
    """With α = β the loss is even in log N about its minimum, so that the parabola's is exact."""
    points = joined(*map(profile, BUDGETS))
    assert [len(part) for part in budgets_of(points)] == [7] * 4
    found = fit_isoflop(points)
    for parabola, flops in zip(found.parabolas, BUDGETS, strict=True):
        assert parabola.flops == pytest.approx(flops)
        assert parabola.best == pytest.approx(PLANTED.best(flops)[0], rel=1e-6)
        assert parabola.least == pytest.approx(float(PLANTED.loss(*PLANTED.best(flops))), rel=1e-3)
    assert found.parameters.power == pytest.approx(0.5, abs=1e-6)
    assert found.tokens.power == pytest.approx(0.5, abs=1e-6)
    assert found.parameters(1e22) == pytest.approx(PLANTED.best(1e22)[0], rel=1e-4)


def test_the_spread_is_that_of_the_noise() -> None:
    points = joined(*map(profile, BUDGETS))
    noise = np.exp(0.001 * np.random.default_rng(0).normal(size=len(points)))
    noisy = Points(points.parameters, points.tokens, points.flops, points.loss * noise)
    powers = [law.power for law in resampled(noisy, 200, seed=0)]
    low, high = np.percentile(powers, [2.5, 97.5])
    assert low < 0.5 < high
    assert high - low < 0.2
    assert np.ptp([law.power for law in resampled(points, 50, seed=0)]) < 1e-3


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda p: p.where(np.arange(2)), "has fewer than three sizes"),
        (lambda p: p.where(np.arange(3)), "train larger models"),
        (lambda p: p.where(np.arange(4, 7)), "train smaller models"),
        (lambda p: Points(p.parameters, p.tokens, p.flops, 9 - p.loss), "opens downwards"),
    ],
)
def test_a_budget_without_a_minimum_says_why(change: object, fault: str) -> None:
    assert callable(change)
    assert fault in fit_parabola(change(profile(1e18))).fault
    with pytest.raises(InputError, match=fault):
        fit_isoflop(joined(change(profile(1e18)), profile(1e20)))


def test_one_budget_is_too_few() -> None:
    with pytest.raises(InputError, match="1 of 1 budgets"):
        fit_isoflop(profile(1e18))
