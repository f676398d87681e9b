"""What text is worth that is read again, and weights beyond what it can fill (Muennighoff et al.
2023, "Scaling data-constrained language models", section 3.1, equations 5 and 6).

A law of N and D holds for new text. Of D tokens of which U are different, R = D/U − 1 are
repetitions, each worth less than the one before, so that they are worth

    D′ = U + U·R*·(1 − exp(−R/R*))

new tokens: R* is as many as repetitions without end come to. Weights beyond the N that U tokens
deserve are worth less in the same way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from groundup.core.errors import InputError
from groundup.scaling.chinchilla import Law
from groundup.scaling.huber import Array, minimise
from groundup.scaling.points import Points

_STARTS = (0.5, 2.0, 8.0, 32.0)  # of both constants
_LEAST_POINTS = 4


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """law: of new text. tokens, weights: R* of repeated tokens, and of weights in excess."""

    law: Law
    tokens: float
    weights: float

    def loss(self, parameters: ArrayLike, tokens: ArrayLike, unique: ArrayLike) -> Array:
        """Of trainings on so many tokens, `unique` of which are different."""
        N, D, U = (np.asarray(x, np.float64) for x in (parameters, tokens, unique))
        deserved = np.minimum(N, deserved_parameters(self.law, np.minimum(U, D)))
        return self.law.loss(
            _worth(N, deserved, self.weights), _worth(D, np.minimum(U, D), self.tokens)
        )


def deserved_parameters(law: Law, tokens: ArrayLike) -> Array:
    """N of the trainings for which so many tokens are the best choice."""
    D = np.asarray(tokens, np.float64)
    ratio = law.alpha * law.A / (law.beta * law.B)
    return (ratio * D**law.beta) ** (1 / law.alpha)


def fit_repetition(
    law: Law, points: Points, unique: ArrayLike, *, delta: float = 1e-3
) -> Repetition:
    """The constants of trainings that read text again. unique: different tokens of each.

    Raises `InputError` where fewer than four of them do.
    """
    form = _Form(law, points, np.minimum(np.asarray(unique, np.float64), points.tokens))
    again = int((points.tokens > 1.01 * form.unique).sum())
    if again < _LEAST_POINTS:
        raise InputError(
            f"{again} trainings read text more than once: what that is worth takes {_LEAST_POINTS}."
        )
    starts = np.log([[one, other] for one in _STARTS for other in _STARTS])
    found, least = minimise(form, np.log(points.loss), starts, delta=delta)
    tokens, weights = np.exp(found[int(np.argmin(least))]).tolist()
    return Repetition(law=law, tokens=tokens, weights=weights)


def _worth(total: Array, base: Array, constant: Array | float) -> Array:
    """base + base·R*·(1 − exp(−R/R*)), with R = total/base − 1."""
    return base * (1 - constant * np.expm1(-(total / base - 1) / constant))


class _Form:
    """log L of the points, for the logarithms of both constants."""

    def __init__(self, law: Law, points: Points, unique: Array):
        self.unique = unique
        self._law, self._points = law, points
        self._deserved = np.minimum(points.parameters, deserved_parameters(law, unique))

    def values(self, at: Array) -> tuple[Array, Array, Array]:
        """See `Form`."""
        law, points = self._law, self._points
        constants = np.exp(np.clip(at, -20, 20))[:, :, None]
        D, of_D = _with_slope(points.tokens, self.unique, constants[:, 0])
        N, of_N = _with_slope(points.parameters, self._deserved, constants[:, 1])
        loss = law.loss(N, D)
        gradients = np.stack(
            [
                -law.beta * law.B * D ** (-law.beta - 1) * of_D / loss,
                -law.alpha * law.A * N ** (-law.alpha - 1) * of_N / loss,
            ],
            axis=2,
        )
        return np.log(loss), gradients, loss

    def curvature(self, gradients: Array, _known: Array, by: Array, /) -> Array:
        """See `Form`."""
        return np.zeros((len(by), gradients.shape[2], gradients.shape[2]))


def _with_slope(total: Array, base: Array, constant: Array) -> tuple[Array, Array]:
    """`_worth`, and its derivative by the constant's logarithm."""
    repeats = (total / base - 1) / constant
    slope = -constant * base * (np.expm1(-repeats) + repeats * np.exp(-repeats))
    return _worth(total, base, constant), slope
