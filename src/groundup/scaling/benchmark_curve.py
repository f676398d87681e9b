"""From a loss to a benchmark's score: a curve from chance to the best that can be reached, between
which it rises as the loss falls (Llama 3, Dubey et al. 2024, section 3.2.1; Gadre et al. 2024)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from groundup.core.errors import InputError
from groundup.scaling.huber import Array, minimise

_LEAST_POINTS = 4
_DELTA = 0.02  # of a score


@dataclass(frozen=True, kw_only=True)
class BenchmarkCurve:
    """score = chance + (best − chance) / (1 + exp(steepness · (loss − middle)))."""

    chance: float
    best: float
    steepness: float
    middle: float

    def score(self, loss: ArrayLike) -> Array:
        """Of models with these losses."""
        rise = self.steepness * (np.asarray(loss, np.float64) - self.middle)
        return self.chance + (self.best - self.chance) / (1 + np.exp(rise))


def fit_benchmark_curve(
    loss: ArrayLike, score: ArrayLike, *, chance: float, best: float = 1.0
) -> BenchmarkCurve:
    """Steepness and middle, by the Huber loss of scores. Raises `InputError` for fewer than four
    points, or where all are at chance."""
    losses, scores = np.asarray(loss, np.float64), np.asarray(score, np.float64)
    if len(losses) < _LEAST_POINTS:
        raise InputError(
            f"{len(losses)} scores are too few for a curve: {_LEAST_POINTS} are needed."
        )
    if scores.max() <= chance + 0.05 * (best - chance):
        raise InputError("no score is above chance, so that nothing is known of how it rises.")
    spread = max(float(np.ptp(losses)), 1e-6)
    middles = np.linspace(losses.min() - spread, losses.max() + spread, 9)
    starts = np.array([[np.log(s / spread), m] for s in (2, 6, 20) for m in middles])
    form = _Form(losses, chance, best)
    found, least = minimise(form, scores, starts, delta=_DELTA)
    log_steepness, middle = found[int(np.argmin(least))].tolist()
    return BenchmarkCurve(
        chance=chance, best=best, steepness=float(np.exp(log_steepness)), middle=middle
    )


class _Form:
    """Scores, for the logarithm of the steepness and the middle."""

    def __init__(self, losses: Array, chance: float, best: float):
        self._losses, self._chance, self._range = losses, chance, best - chance

    def values(self, at: Array) -> tuple[Array, Array, Array]:
        """See `Form`."""
        steepness = np.exp(np.clip(at[:, :1], -20, 20))
        rise = np.clip(steepness * (self._losses - at[:, 1:]), -500, 500)
        reached = 1 / (1 + np.exp(rise))
        slope = -self._range * reached * (1 - reached)
        gradients = np.stack([slope * rise, -slope * steepness], axis=2)
        return self._chance + self._range * reached, gradients, reached

    def curvature(self, gradients: Array, _known: Array, by: Array, /) -> Array:
        """See `Form`."""
        return np.zeros((len(by), gradients.shape[2], gradients.shape[2]))
