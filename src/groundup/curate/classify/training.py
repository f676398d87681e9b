"""Training of the linear classifier: AdaGrad down the cross-entropy, a text at a time.

AdaGrad (Duchi, Hazan and Singer 2011, figure 1) gives every weight a rate of its own, which falls
with the gradients that the weight has had: a row of characters that occurs in a hundred texts
learns in large steps, and one that is in all of them in small ones.

Rare classes count more: a text of a class of share s among C has the importance (1 / (C · s))^b.
With b = 0 the classifier is right most often; with b = 1 all classes weigh the same, and a rare one
is suspected too often; b = ½ lies between, and is the default.

`core` has the same in C++.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.core.native import core
from groundup.core.progress import Advance
from groundup.core.seeds import derive_seed
from groundup.curate.classify.classifier import Classifier
from groundup.curate.classify.ngrams import Buckets, Ngrams

_LEVELS = 127  # of a weight in a byte, on each side of zero
_FLOOR = np.float32(1e-10)  # added to the squares of gradients


@dataclass(frozen=True, kw_only=True)
class TrainClassifier:
    """epochs: how often every text is seen. rate: of the first step; it falls linearly to nothing.
    balance: b, the weight of rare classes, 0 to 1. seed: of the order of the texts."""

    ngrams: Ngrams = field(default_factory=Ngrams)
    epochs: int = 5
    rate: float = 1.0
    balance: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.rate <= 0 or not 0 <= self.balance <= 1:
            raise ValueError("epochs and rate are above 0, and balance is 0 to 1")


@dataclass(slots=True)
class _State:
    """weights, squares: [2^bits, C]; bias, bias_squares: [C]; squares are sums of squared
    gradients."""

    weights: NDArray[np.float32]
    squares: NDArray[np.float32]
    bias: NDArray[np.float32]
    bias_squares: NDArray[np.float32]


def train_classifier(
    texts: Sequence[str],
    labels: Sequence[str],
    config: TrainClassifier,
    advance: Advance,
) -> Classifier:
    """A classifier of the labels that occur, in alphabetical order; the same for the same seed.

    advance: told of every epoch. Raises `InputError` where there are not two labels.
    """
    names = sorted(set(labels))
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        raise InputError(f"a classifier tells at least two labels apart, and there is {found}.")
    numbers = np.array([names.index(label) for label in labels], dtype=np.int32)
    share = np.bincount(numbers, minlength=len(names)) / len(numbers)
    importance = ((len(names) * share) ** -config.balance).astype(np.float32)
    buckets = config.ngrams.buckets(list(texts))
    size = (1 << config.ngrams.bits, len(names))
    state = _State(
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(len(names), np.float32),
        np.zeros(len(names), np.float32),
    )
    for epoch in range(config.epochs):
        order = np.random.default_rng(derive_seed(config.seed, "classifier", epoch))
        texts_in_order = order.permutation(len(numbers)).astype(np.int64)
        rates = config.rate * (1 - epoch / config.epochs), config.rate / config.epochs
        _learn(buckets, numbers, importance, texts_in_order, rates, state)
        advance(1)
    largest = float(np.abs(state.weights).max()) or 1.0
    return Classifier(
        labels=tuple(names),
        ngrams=config.ngrams,
        weights=np.rint(state.weights * (_LEVELS / largest)).astype(np.int8),
        scale=largest / _LEVELS,
        bias=state.bias,
    )


def _learn(
    buckets: Buckets,
    labels: NDArray[np.int32],
    importance: NDArray[np.float32],
    order: NDArray[np.int64],
    rates: tuple[float, float],
    state: _State,
) -> None:
    """A step for each text in order. rates: of the first, and what all take off together."""
    if core is not None:
        arrays = state.weights, state.squares, state.bias, state.bias_squares
        core.learn(*buckets, labels, importance, order, *rates, *arrays)
        return
    first, fall = map(np.float32, rates)
    begins = np.concatenate([[0], buckets.ends])
    for step, text in enumerate(order):
        rate = first - fall * np.float32(step / len(order))
        rows = buckets.numbers[begins[text] : begins[text + 1]]
        share = np.float32(1 / max(1, len(rows)))
        logits = state.bias + share * state.weights[rows].sum(0)
        powers = np.exp(logits - logits.max())
        target = np.arange(len(powers)) == labels[text]
        gradient = importance[labels[text]] * (powers / powers.sum() - target)
        _adagrad(state.bias, state.bias_squares, gradient, rate)
        for row in rows:  # a bucket that occurs twice takes two steps
            _adagrad(state.weights[row], state.squares[row], share * gradient, rate)


def _adagrad(
    weights: NDArray[np.float32],
    squares: NDArray[np.float32],
    gradient: NDArray[np.float32],
    rate: np.float32,
) -> None:
    squares += gradient * gradient
    weights -= rate * gradient / np.sqrt(squares + _FLOOR)
