"""L(N, D) = E + A/N^α + B/D^β: what a model of N weights has learned from D tokens (Hoffmann et al.
2022, "Training compute-optimal large language models", section 3.3).

E is the entropy of the text, A/N^α what a model of that size cannot say, B/D^β what is not yet
learned from so many tokens. It is fitted to logarithms of losses, with the Huber loss, from many
starts; the intervals are those of a bootstrap (as Besiroglu et al. 2024, "Chinchilla scaling: a
replication attempt").
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed
from groundup.scaling.huber import Array, minimise
from groundup.scaling.points import FLOPS_PER_WEIGHT, Points
from groundup.scaling.power_laws import LogSumExp

_LEAST_POINTS = 8  # for five parameters
_LEAST_SIZES = 3  # different ones, and different numbers of tokens
# Starts of log A, log B, log E, α and β; the minima that are found do not depend on more of them.
_GRID = ((0, 10, 20), (0, 10, 20), (-1, 0, 1), (0, 0.5, 1, 1.5), (0, 0.5, 1, 1.5))
_FIRST_STEPS, _GO_ON = 40, 24  # of all starts; and how many of the best are followed to the end
_ALIKE = 1e-6  # relative difference of the objectives of starts that found one minimum


@dataclass(frozen=True, kw_only=True)
class Law:
    """L(N, D) = E + A/N^α + B/D^β."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def loss(self, parameters: ArrayLike, tokens: ArrayLike) -> Array:
        """Of trainings of models of so many weights, on so many tokens."""
        N, D = np.asarray(parameters, np.float64), np.asarray(tokens, np.float64)
        return self.E + self.A * N**-self.alpha + self.B * D**-self.beta

    def best(self, flops: float) -> tuple[float, float]:
        """N and D with the least loss of all for which 6·N·D are so many FLOPs (equation 4)."""
        ratio = self.alpha * self.A / (self.beta * self.B)
        budget = flops / FLOPS_PER_WEIGHT
        parameters = (ratio * budget**self.beta) ** (1 / (self.alpha + self.beta))
        return parameters, budget / parameters

    def tokens_for(self, loss: float, parameters: ArrayLike) -> Array:
        """How many tokens teach a model of that size so much; infinite where none do."""
        N = np.asarray(parameters, np.float64)
        rest = loss - self.E - self.A * N**-self.alpha
        with np.errstate(divide="ignore"):
            return np.where(rest > 0, (self.B / np.maximum(rest, 0)) ** (1 / self.beta), np.inf)


@dataclass(frozen=True)
class Fit:
    """A law that was fitted. objective: the sum of Huber losses. residuals: log L − log of the
    law's, a point each. agreeing: share of the starts' best that found this minimum. samples: laws
    fitted to resampled points. warnings: what the points do not tell."""

    law: Law
    objective: float
    residuals: Array
    agreeing: float
    samples: tuple[Law, ...]
    warnings: tuple[str, ...]

    def interval(self, of: Callable[[Law], float], share: float = 0.95) -> tuple[float, float]:
        """Of anything that follows from a law: percentiles over the resampled fits."""
        values = [of(law) for law in self.samples]
        tail = 50 * (1 - share)
        low, high = np.percentile(values, [tail, 100 - tail])
        return float(low), float(high)


def fit_law(points: Points, *, delta: float = 1e-3, resamples: int = 1000, seed: int = 0) -> Fit:
    """The law of some trainings.

    delta: of the Huber loss, below which residuals of log L count as squares. resamples: of the
    points with replacement, for the intervals.

    Raises `InputError` where there are too few points, or of too few sizes or numbers of tokens.
    """
    _check(points)
    form, wanted = _form(points), np.log(points.loss)
    starts = np.array(list(itertools.product(*_GRID)), dtype=np.float64)
    early, least = minimise(form, wanted, starts, delta=delta, steps=_FIRST_STEPS)
    ahead = np.argsort(least)[:_GO_ON]
    found, least = minimise(form, wanted, early[ahead], delta=delta)
    best = int(np.argmin(least))
    law = _law(found[best])
    samples = _resampled(form, wanted, found[best], delta, resamples, seed)
    return Fit(
        law,
        float(least[best]),
        wanted - np.log(law.loss(points.parameters, points.tokens)),
        float(np.mean(least <= least[best] * (1 + _ALIKE))),
        samples,
        _warnings(points, law, samples),
    )


def _check(points: Points) -> None:
    if len(points) < _LEAST_POINTS:
        raise InputError(
            f"{len(points)} trainings are too few for a law of N and D, which has five parameters: "
            f"add some until there are {_LEAST_POINTS} or more."
        )
    for name, column in (("sizes", points.parameters), ("numbers of tokens", points.tokens)):
        if len(np.unique(np.round(np.log(column), 2))) < _LEAST_SIZES:
            raise InputError(
                f"the trainings have fewer than {_LEAST_SIZES} {name}, from which nothing can be "
                "said about others: vary them."
            )


def _form(points: Points) -> LogSumExp:
    """The terms A/N^α, B/D^β and E, for parameters in the order of `_GRID`."""
    terms = np.zeros((len(points), 3, 5))
    terms[:, 0, 0] = terms[:, 1, 1] = terms[:, 2, 2] = 1
    terms[:, 0, 3] = -np.log(points.parameters)
    terms[:, 1, 4] = -np.log(points.tokens)
    return LogSumExp(terms)


def _law(parameters: Array) -> Law:
    a, b, e, alpha, beta = parameters.tolist()
    return Law(E=math.exp(e), A=math.exp(a), B=math.exp(b), alpha=alpha, beta=beta)


def _resampled(
    form: LogSumExp, wanted: Array, at: Array, delta: float, resamples: int, seed: int
) -> tuple[Law, ...]:
    """Fits in which each point counts as often as it was drawn, begun at the fit of all."""
    draw = np.random.default_rng(derive_seed(seed, "bootstrap"))
    n = len(wanted)
    weights = draw.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    starts = np.repeat(at[None], resamples, axis=0)
    found, _ = minimise(form, wanted, starts, delta=delta, weights=weights)
    return tuple(map(_law, found))


def _warnings(points: Points, law: Law, samples: tuple[Law, ...]) -> tuple[str, ...]:
    """What the points cannot tell."""
    said = []
    low, high = 0.0, 0.0
    for name, value in (("α", law.alpha), ("β", law.beta)):
        exponents = [one.alpha if name == "α" else one.beta for one in samples] or [value]
        low, high = np.percentile(exponents, [2.5, 97.5])
        if low <= 0 or high > 4 * max(low, 1e-9):
            of = "size" if name == "α" else "number of tokens"
            said.append(
                f"{name} is between {low:.2f} and {high:.2f}: how the loss falls with the {of} is "
                f"not known; add trainings of other {'sizes' if name == 'α' else 'lengths'}"
            )
    entropies = [one.E for one in samples] or [law.E]
    low, high = np.percentile(entropies, [2.5, 97.5])
    if high - low > 0.25 * float(points.loss.min()):
        said.append(
            f"E is between {low:.2f} and {high:.2f}: what remains with any model is not known; "
            "larger trainings would tell"
        )
    if math.log10(points.flops.max() / points.flops.min()) < 1:
        said.append(
            "all trainings are within one order of magnitude of compute: what is predicted beyond "
            "is a guess"
        )
    return tuple(said)
