"""Student's interval against published quantiles, and by its coverage."""

import random
import statistics

import pytest

from groundup.evals.interval import estimate


@pytest.mark.parametrize(
    ("n", "quantile"),
    [(2, 12.706), (3, 4.303), (11, 2.228), (14, 2.1604), (21, 2.0860), (61, 2.0003), (121, 1.9799)],
)
def test_quantiles_are_the_published_ones(n: int, quantile: float) -> None:
    """For values of variance one the half width is the quantile over √n."""
    deviation = statistics.stdev(range(n))
    values = [(i - (n - 1) / 2) / deviation for i in range(n)]
    found = estimate(values)
    assert found.mean == pytest.approx(0)
    assert found.half_width == pytest.approx(quantile / n**0.5, rel=1e-3)


def test_nineteen_of_twenty_intervals_hold_the_mean() -> None:
    generator = random.Random(0)
    held = 0
    for _ in range(4000):
        found = estimate([generator.gauss(3.0, 2.0) for _ in range(3)])
        held += abs(found.mean - 3.0) <= found.half_width
    assert held / 4000 == pytest.approx(0.95, abs=0.01)


def test_one_value_has_no_interval() -> None:
    assert estimate([1.5]).half_width is None
    with pytest.raises(ValueError, match="nothing to take the mean of"):
        estimate([])
