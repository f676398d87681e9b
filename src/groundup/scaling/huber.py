"""Robust fits, many at a time: the sum of points' Huber losses, made least by Newton's method.

Fits of scaling laws have several minima, so that they are begun at hundreds of places, and
bootstrap intervals take a thousand fits more. Here they are one computation: arrays have a row for
each problem, and a problem leaves when it has settled.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STEPS = 400
_SETTLED = 1e-14  # relative decrease of the objective in a step that ends a fit
_LEAST, _MOST = 1e-9, 1e9  # damping
_ALMOST_NOTHING = 1e-300


class Form(Protocol):
    """A function of P parameters, at n points, whose values are compared with those wanted."""

    def values(self, at: Array) -> tuple[Array, Array, Array]:
        """at: [S, P]. Returns values [S, n], gradients [S, n, P], and what `curvature` asks for,
        with a row for each problem."""
        ...

    def curvature(self, gradients: Array, known: Array, by: Array, /) -> Array:
        """The points' second derivatives, summed with the factors `by` [S, n]: [S, P, P]. Zeros
        make the steps those of least squares."""
        ...


def huber(residuals: Array, delta: float) -> Array:
    """r²/2 where |r| ≤ δ, else δ·(|r| − δ/2) (Huber 1964, equation 1.6)."""
    size = np.abs(residuals)
    return np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))


def minimise(
    form: Form,
    wanted: Array,
    starts: Array,
    *,
    delta: float,
    weights: Array | None = None,
    steps: int = _STEPS,
) -> tuple[Array, Array]:
    """The parameters [S, P] where the objective of each problem is least near its start, and the
    objectives [S]: the sum over points of `huber(value − wanted)`, times the weights [S, n].

    Steps are Newton's, with the true second derivatives. They are damped by the matrix of the
    reweighted least squares of the same objective, which is positive, so that far from a minimum a
    step is that of Levenberg and Marquardt, and near to it the number of right digits doubles.
    """
    at = starts.astype(np.float64)
    problems, parameters = at.shape
    weights = np.ones((problems, len(wanted))) if weights is None else weights
    damping = np.ones(problems)
    values, gradients, known = form.values(at)
    least = (weights * huber(values - wanted, delta)).sum(1)
    left = np.arange(problems)
    for _ in range(steps):
        if not len(left):
            break
        residuals, of_left = values - wanted, weights[left]
        slopes = of_left * np.clip(residuals, -delta, delta)
        size = np.maximum(np.abs(residuals), _ALMOST_NOTHING)
        metric = _products(gradients, of_left * np.minimum(1, delta / size))
        spread = np.trace(metric, axis1=1, axis2=2)[:, None, None]
        metric += (1e-12 * spread + _ALMOST_NOTHING) * np.eye(parameters)
        hessian = _products(gradients, of_left * (size <= delta))
        hessian += form.curvature(gradients, known, slopes)
        slope = (slopes[:, None, :] @ gradients)[:, 0, :, None]
        tried = at[left] - _solve(hessian + damping[left, None, None] * metric, slope)
        new = form.values(tried)
        objective = (of_left * huber(new[0] - wanted, delta)).sum(1)
        better = objective < least[left]
        settled = better & (least[left] - objective <= _SETTLED * least[left])
        at[left[better]], least[left[better]] = tried[better], objective[better]
        damping[left] *= np.where(better, 0.2, 4.0)
        keep = ~settled & (damping[left] < _MOST)
        damping[left] = np.maximum(damping[left], _LEAST)
        values, gradients, known = (
            np.where(better.reshape(-1, *[1] * (now.ndim - 1)), now, before)[keep]
            for now, before in zip(new, (values, gradients, known), strict=True)
        )
        left = left[keep]
    return at, least


def _products(gradients: Array, weights: Array) -> Array:
    """Σₙ weight · gradient gradientᵀ: [S, P, P]."""
    return (weights[:, :, None] * gradients).swapaxes(1, 2) @ gradients


def _solve(systems: Array, right: Array) -> Array:
    """One step for each problem; none where its system is singular or not finite."""
    try:
        return np.asarray(np.linalg.solve(systems, right)[:, :, 0], np.float64)
    except np.linalg.LinAlgError:
        return np.stack(
            [_solve_one(one, of_one) for one, of_one in zip(systems, right, strict=True)]
        )


def _solve_one(system: Array, right: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(system, right)[:, 0], np.float64)
    except np.linalg.LinAlgError:
        return np.zeros(len(right))
