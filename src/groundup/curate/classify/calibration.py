"""Whether a probability can be taken at its word: of texts that have 0.8, 80 % are right."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_BINS = 10


class Bin(NamedTuple):
    """Texts whose probability is between `begin` and `end`: how many, their mean probability, and
    the share that is right. A classifier that knows what it knows has the last two equal."""

    begin: float
    end: float
    texts: int
    probability: float
    right: float


def reliability(probabilities: NDArray[Any], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """The bins of equal width that hold texts (Niculescu-Mizil and Caruana 2005)."""
    numbers = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    bins = []
    for number in range(_BINS):
        inside = numbers == number
        if inside.any():
            means = float(probabilities[inside].mean()), float(right[inside].mean())
            bins.append(Bin(number / _BINS, (number + 1) / _BINS, int(inside.sum()), *means))
    return tuple(bins)


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """The mean difference of probability and share, weighted by texts (Guo et al. 2017, section
    2)."""
    wrong = sum(one.texts * abs(one.probability - one.right) for one in bins)
    return wrong / sum(one.texts for one in bins)
