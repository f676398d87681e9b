"""How far a fit can be trusted beyond its points: fit to the smaller trainings, predict the larger
ones, compare."""

from typing import NamedTuple

import numpy as np

from groundup.core.errors import InputError
from groundup.scaling.chinchilla import Law, fit_law
from groundup.scaling.points import Points


class Extrapolation(NamedTuple):
    """law: of the trainings up to `largest_fitted` FLOPs. reach: the largest FLOPs predicted,
    relative to that. error: mean of |predicted − measured| / measured of those beyond; worst: the
    largest. predicted: how many are beyond."""

    law: Law
    largest_fitted: float
    reach: float
    error: float
    worst: float
    predicted: int


def leave_largest_out(points: Points, share: float = 0.2, *, delta: float = 1e-3) -> Extrapolation:
    """Fit without the trainings with the most FLOPs, a `share` of all, and predict them. Trainings
    with one budget stay together.

    Raises `InputError` where what is left is too little for a fit.
    """
    edge = float(np.quantile(points.flops, 1 - share))
    inside = points.flops <= edge * 1.001
    if inside.all():
        inside = points.flops < points.flops.max() / 1.001
    if not inside.any():
        raise InputError(
            "all trainings have one budget: nothing can be predicted from smaller ones."
        )
    fitted, beyond = points.where(inside), points.where(~inside)
    law = fit_law(fitted, delta=delta, resamples=0).law
    predicted = law.loss(beyond.parameters, beyond.tokens)
    errors = np.abs(predicted - beyond.loss) / beyond.loss
    largest = float(fitted.flops.max())
    return Extrapolation(
        law,
        largest,
        float(beyond.flops.max()) / largest,
        float(errors.mean()),
        float(errors.max()),
        len(beyond),
    )
