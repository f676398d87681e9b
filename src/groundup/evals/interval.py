"""A mean and how far it may be off: Student's interval over a few repetitions (Student 1908)."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# 97.5 % quantiles of Student's t for 1, 2, … degrees of freedom
_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)


@dataclass(frozen=True)
class Estimate:
    """half_width: of the 95 % interval; None for a single value, which has none."""

    mean: float
    half_width: float | None


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent repetitions. Raises ValueError for none."""
    if not values:
        raise ValueError("there is nothing to take the mean of")
    mean = statistics.fmean(values)
    freedom = len(values) - 1
    if not freedom:
        return Estimate(mean, None)
    return Estimate(mean, _quantile(freedom) * statistics.stdev(values) / math.sqrt(len(values)))


def _quantile(freedom: int) -> float:
    """97.5 % of Student's t; beyond the table within 0.1 %, by an expansion in 1 / freedom
    (Abramowitz and Stegun 1964, equation 26.7.5, two terms)."""
    if freedom <= len(_QUANTILES):
        return _QUANTILES[freedom - 1]
    z = 1.959964
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2
