"""Boosted symmetric trees: a classifier of a few thousand rows that trains in seconds.

Gradient boosting (Friedman 2001, algorithm 1; with second derivatives, Chen and Guestrin 2016,
section 2.2) of trees in which all nodes of a level ask the same question (Prokhorenkova et al.
2018, "CatBoost"). Such a tree of depth d is d questions and a table of 2^d values, which is little
to overfit with, and a row's place in the table is a number of d bits: all trees are asked at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundup.core.seeds import derive_seed

_BINS = 32  # into which a feature's values are put, with about as many rows each


@dataclass(frozen=True, kw_only=True)
class TrainTrees:
    """trees, depth: how many, and questions of each. rate: of each tree's values that is taken.
    penalty: λ, of large values. share: of the features, drawn for each tree anew. seed: of that."""

    trees: int = 300
    depth: int = 5
    rate: float = 0.05
    penalty: float = 5.0
    share: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class Trees:
    """feature, bound: [trees, depth]: is the feature above the bound? values: [trees, 2^depth],
    where the first question is the highest bit. base: what all are added to."""

    feature: NDArray[np.int32]
    bound: NDArray[np.float32]
    values: NDArray[np.float32]
    base: float

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of each row, that it is of the class."""
        bits = 1 << np.arange(self.feature.shape[1])[::-1]
        places = ((rows[:, self.feature] > self.bound) * bits).sum(-1)
        logits = self.base + self.values[np.arange(len(self.values)), places].sum(-1)
        return (1 / (1 + np.exp(-logits))).astype(np.float32)


def train_trees(
    rows: NDArray[np.float32],
    labels: NDArray[np.float32],
    weights: NDArray[np.float32],
    config: TrainTrees,
) -> Trees:
    """rows: [N, features]. labels: [N], probabilities of the class. weights: [N], of each row."""
    N = len(rows)
    draw = np.random.default_rng(derive_seed(config.seed, "trees"))
    bounds = [_bounds(column) for column in rows.T]
    bins = np.stack([np.searchsorted(b, c, "left") for b, c in zip(bounds, rows.T, strict=True)])
    asking = np.flatnonzero([len(b) > 0 for b in bounds])  # features that differ among rows
    mean = float(np.average(labels, weights=weights))
    base = float(np.log(mean / (1 - mean)))
    logits = np.full(N, base)
    trees: list[tuple[list[int], list[float], NDArray[np.float64]]] = []
    for _ in range(config.trees):
        chances = 1 / (1 + np.exp(-logits))
        slopes, curves = weights * (chances - labels), weights * chances * (1 - chances)
        allowed = draw.permutation(asking)[: max(1, round(config.share * len(asking)))]
        place = np.zeros(N, dtype=np.int64)
        asked, above = [], []
        for level in range(config.depth):
            feature, bin_ = _best(
                bins, bounds, allowed, place, 1 << level, slopes, curves, config.penalty
            )
            asked.append(feature)
            above.append(float(bounds[feature][bin_]))
            place = 2 * place + (bins[feature] > bin_)
        size = 1 << config.depth
        sums = (np.bincount(place, x, size) for x in (slopes, curves))
        values = -config.rate * next(sums) / (next(sums) + config.penalty)
        logits += values[place]
        trees.append((asked, above, values))
    return Trees(
        np.array([tree[0] for tree in trees], dtype=np.int32),
        np.array([tree[1] for tree in trees], dtype=np.float32),
        np.array([tree[2] for tree in trees], dtype=np.float32),
        base,
    )


def _bounds(column: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a question may compare with: between values, and about as many rows between two."""
    values = np.unique(column)
    if len(values) > _BINS:
        values = np.unique(np.quantile(column, np.linspace(0, 1, _BINS + 1), method="lower"))
    return values[:-1].astype(np.float32)


def _best(
    bins: NDArray[np.int64],
    bounds: list[NDArray[np.float32]],
    allowed: NDArray[np.int64],
    place: NDArray[np.int64],
    nodes: int,
    slopes: NDArray[np.float64],
    curves: NDArray[np.float64],
    penalty: float,
) -> tuple[int, int]:
    """The question (feature, bin) that lowers the loss most, asked of all nodes together."""
    size = nodes * (_BINS + 1)
    best, found = -np.inf, (int(allowed[0]), 0)
    for feature in allowed:
        key = place * (_BINS + 1) + bins[feature]
        low_slopes, low_curves = (
            np.cumsum(np.bincount(key, x, size).reshape(nodes, -1), axis=1)
            for x in (slopes, curves)
        )
        slope, curve = low_slopes[:, -1:], low_curves[:, -1:]
        gains = low_slopes**2 / (low_curves + penalty)
        gains += (slope - low_slopes) ** 2 / (curve - low_curves + penalty)
        total = gains.sum(0)[: len(bounds[feature])]
        bin_ = int(np.argmax(total))
        if total[bin_] > best:
            best, found = float(total[bin_]), (int(feature), bin_)
    return found
