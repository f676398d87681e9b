"""IsoFLOP profiles: of the trainings with one budget, the size whose loss is least; and how that
size grows with the budget (Hoffmann et al. 2022, section 3.2).

Within a budget the loss is a parabola of log N near its minimum. The minima of several budgets lie
on a power law, N* = k·C^a.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.scaling.points import FLOPS_PER_WEIGHT, Points
from groundup.scaling.power_laws import PowerLaw, fit_power_law

_SAME_BUDGET = 0.05  # relative difference of FLOPs within a budget


@dataclass(frozen=True)
class Parabola:
    """loss = least + bend · (log N − log best)². flops: of the budget. sizes: from the smallest to
    the largest that was trained. fault: why there is no minimum, empty where there is."""

    flops: float
    best: float
    least: float
    bend: float
    sizes: tuple[float, float]
    fault: str = ""


@dataclass(frozen=True)
class IsoFLOP:
    """parabolas: by budget. parameters, tokens: N* and D* as power laws of the FLOPs."""

    parabolas: tuple[Parabola, ...]
    parameters: PowerLaw
    tokens: PowerLaw


def budgets_of(points: Points) -> list[Points]:
    """The points of each budget, the smallest first."""
    order = np.argsort(points.flops)
    logs = np.log(points.flops[order])
    cuts = np.flatnonzero(np.diff(logs) > math.log1p(_SAME_BUDGET)) + 1
    return [points.where(part) for part in np.split(order, cuts)]


def fit_parabola(points: Points) -> Parabola:
    """Of the points of one budget, by least squares. A parabola that opens downwards, or has its
    minimum beyond the sizes that were trained, has a `fault`; so have fewer than three sizes."""
    logs = np.log(points.parameters)
    flops = float(np.exp(np.log(points.flops).mean()))
    sizes = (float(points.parameters.min()), float(points.parameters.max()))
    lowest = int(np.argmin(points.loss))

    def faulty(reason: str) -> Parabola:
        best, least = float(points.parameters[lowest]), float(points.loss[lowest])
        return Parabola(flops, best, least, 0.0, sizes, reason)

    if len(np.unique(logs)) < 3:
        return faulty("has fewer than three sizes")
    middle = logs.mean()
    bend, slope, height = np.polyfit(logs - middle, points.loss, 2)
    if bend <= 0:
        return faulty("opens downwards: the losses have no minimum among these sizes")
    best = middle - slope / (2 * bend)
    if not logs.min() <= best <= logs.max():
        side = "larger" if best > logs.max() else "smaller"
        return faulty(f"has its minimum beyond the sizes that were trained: train {side} models")
    least = float(height - slope**2 / (4 * bend))
    return Parabola(flops, math.exp(best), least, float(bend), sizes)


def fit_isoflop(points: Points) -> IsoFLOP:
    """Raises `InputError` where fewer than two budgets have a minimum."""
    parabolas = tuple(map(fit_parabola, budgets_of(points)))
    good = [one for one in parabolas if not one.fault]
    if len(good) < 2:
        faulty = [f"that of {one.flops:.2g} FLOPs {one.fault}" for one in parabolas if one.fault]
        why = f" ({'; '.join(faulty)})" if faulty else ""
        raise InputError(
            f"{len(good)} of {len(parabolas)} budgets have a size of least loss, and it takes two "
            f"to say how it grows{why}."
        )
    flops = np.array([one.flops for one in good])
    best = np.array([one.best for one in good])
    (parameters,) = fit_power_law(flops, best)
    (tokens,) = fit_power_law(flops, flops / (FLOPS_PER_WEIGHT * best))
    return IsoFLOP(parabolas, parameters, tokens)


def resampled(points: Points, resamples: int, seed: int) -> list[PowerLaw]:
    """N*'s law of points drawn again within each budget; draws that have no two minima are left
    out."""
    draw = np.random.default_rng(seed)
    budgets = budgets_of(points)
    laws = []
    for _ in range(resamples):
        drawn = [part.where(_drawn(len(part), draw)) for part in budgets]
        good = [one for one in map(fit_parabola, drawn) if not one.fault]
        if len({one.flops for one in good}) >= 2:
            laws += fit_power_law([one.flops for one in good], [one.best for one in good])
    return laws


def _drawn(count: int, draw: np.random.Generator) -> NDArray[np.int64]:
    return draw.integers(0, count, count)
