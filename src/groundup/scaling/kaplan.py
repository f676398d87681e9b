"""L(N, D) = [(N_c/N)^(α_N/α_D) + D_c/D]^α_D: the law before Chinchilla's (Kaplan et al. 2020,
"Scaling laws for neural language models", equation 1.5), in which no loss remains at the end."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from groundup.core.errors import InputError
from groundup.scaling.huber import Array, minimise
from groundup.scaling.points import Points
from groundup.scaling.power_laws import LogSumExp

_LEAST_POINTS = 6
_GRID = ((5, 15, 30), (5, 15, 30), (0.3, 0.7, 1.2), (0.03, 0.1, 0.3))


@dataclass(frozen=True, kw_only=True)
class KaplanLaw:
    """weights, tokens: N_c and D_c. power_of_weights, power_of_tokens: α_N and α_D."""

    weights: float
    tokens: float
    power_of_weights: float
    power_of_tokens: float

    def loss(self, parameters: ArrayLike, tokens: ArrayLike) -> Array:
        """Of trainings of models of so many weights, on so many tokens."""
        N, D = np.asarray(parameters, np.float64), np.asarray(tokens, np.float64)
        return (
            (self.weights / N) ** (self.power_of_weights / self.power_of_tokens) + self.tokens / D
        ) ** self.power_of_tokens


def fit_kaplan(points: Points, *, delta: float = 1e-3) -> KaplanLaw:
    """By the Huber loss of logarithms, from many starts. Raises `InputError` for too few points."""
    if len(points) < _LEAST_POINTS:
        raise InputError(
            f"{len(points)} trainings are too few for Kaplan's law, which has four parameters: add "
            f"some until there are {_LEAST_POINTS} or more."
        )
    form = _Form(points)
    starts = np.array(list(itertools.product(*_GRID)), dtype=np.float64)
    found, least = minimise(form, np.log(points.loss), starts, delta=delta)
    n, d, ratio, power = found[int(np.argmin(least))].tolist()
    return KaplanLaw(
        weights=float(np.exp(n / ratio)),
        tokens=float(np.exp(d)),
        power_of_weights=ratio * power,
        power_of_tokens=power,
    )


class _Form:
    """log L = α_D · log(exp(n − ratio·log N) + exp(d − log D)), for n, d, ratio and α_D."""

    def __init__(self, points: Points):
        terms = np.zeros((len(points), 2, 4))  # the last place is that of log D, whose factor is 1
        terms[:, 0, 0] = terms[:, 1, 1] = 1
        terms[:, 0, 2] = -np.log(points.parameters)
        terms[:, 1, 3] = -np.log(points.tokens)
        self._inner = LogSumExp(terms)

    def values(self, at: Array) -> tuple[Array, Array, Array]:
        """See `Form`. What is known are the inner form's values and shares, and α_D."""
        powers = at[:, 3][:, None]
        inner, gradients, shares = self._inner.values(_inner_of(at))
        outer = powers[:, :, None] * gradients
        outer[:, :, 3] = inner
        of_all = np.broadcast_to(powers, inner.shape)[:, :, None]
        known = np.concatenate([shares, gradients, of_all], axis=2)
        return powers * inner, outer, known

    def curvature(self, _gradients: Array, known: Array, by: Array, /) -> Array:
        """See `Form`."""
        shares, inner, powers = known[:, :, :2], known[:, :, 2:6], known[:, :, 6]
        seconds = self._inner.curvature(inner, shares, by * powers)
        seconds[:, 3, :] = seconds[:, :, 3] = 0
        across = (by[:, None, :] @ inner)[:, 0, :]
        seconds[:, 3, :3] = seconds[:, :3, 3] = across[:, :3]
        return seconds


def _inner_of(at: Array) -> Array:
    inner = at.copy()
    inner[:, 3] = 1
    return inner
