"""Sums of power laws, as forms to fit, and the power law by itself.

With logarithms as parameters, A/N^α is exp(a − α·log N), and the logarithm of a sum of such terms
is the log-sum-exp of functions that are linear in the parameters (Hoffmann et al. 2022, equation
7). Its derivatives are those of a softmax.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from groundup.core.errors import InputError
from groundup.scaling.huber import Array, minimise

_DELTA = 1e-3  # of residuals of logarithms


@dataclass(frozen=True)
class LogSumExp:
    """log Σₖ exp(terms[:, k] · θ) at n points. terms: [n, K, P]."""

    terms: Array

    def values(self, at: Array) -> tuple[Array, Array, Array]:
        """See `Form`. What is known are the shares of the terms, [S, n, K]."""
        n, K, P = self.terms.shape
        each = (at @ self.terms.reshape(n * K, P).T).reshape(len(at), n, K)
        largest = each.max(2, keepdims=True)
        parts = np.exp(each - largest)
        total = parts.sum(2, keepdims=True)
        shares = parts / total
        return (largest + np.log(total))[:, :, 0], self._mean(shares), shares

    def curvature(self, gradients: Array, known: Array, by: Array, /) -> Array:
        """See `Form`: the covariance of the terms under their shares."""
        n, K, P = self.terms.shape
        squares = (self.terms[:, :, :, None] * self.terms[:, :, None, :]).reshape(n * K, P * P)
        seconds = ((by[:, :, None] * known).reshape(len(by), n * K) @ squares).reshape(-1, P, P)
        return seconds - (by[:, :, None] * gradients).swapaxes(1, 2) @ gradients

    def _mean(self, shares: Array) -> Array:
        """[S, n, P]"""
        return (shares.swapaxes(0, 1) @ self.terms).swapaxes(0, 1)


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """y = factor · x^power."""

    factor: float
    power: float

    def __call__(self, x: ArrayLike) -> Array:
        return self.factor * np.asarray(x, np.float64) ** self.power


def fit_power_law(
    x: ArrayLike, y: ArrayLike, *, weights: Array | None = None, delta: float = _DELTA
) -> list[PowerLaw]:
    """The law through positive points, by the Huber loss of logarithms; one for each row of
    `weights` [S, n], or one. Raises `InputError` for fewer than two values of x."""
    logs, wanted = np.log(np.asarray(x, np.float64)), np.log(np.asarray(y, np.float64))
    if len(np.unique(logs)) < 2:
        raise InputError("a power law needs points at two places at least.")
    middle = logs.mean()  # so that the two parameters hardly depend on each other
    form = LogSumExp(np.stack([np.ones_like(logs), logs - middle], axis=1)[:, None, :])
    problems = 1 if weights is None else len(weights)
    slope, height = np.polyfit(logs - middle, wanted, 1)
    starts = np.tile([height, slope], (problems, 1))
    found, _ = minimise(form, wanted, starts, delta=delta, weights=weights)
    return [
        PowerLaw(factor=float(np.exp(height - power * middle)), power=float(power))
        for height, power in found
    ]
