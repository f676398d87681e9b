"""Training of the n-gram model: interpolated, modified Kneser-Ney (Chen and Goodman 1999).

    share(context w) = (c − D(c)) / total(context)
    weight(context)  = 1 − the shares of what follows it and is kept

c is how often a row of words occurs, where it is as long as the model's order, and else how many
different words precede it (Kneser and Ney 1995); D takes off more of what counts more. What is left
out, because it is rare and the table is full, gives its share to the shorter context.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.core.native import core
from groundup.curate.duplicates.shingles import lowered
from groundup.curate.perplexity.model import MOST_ORDER, WordModel, keys_of_words

_FULL = 0.7  # of a table's slots are taken, at most: then a look-up takes two steps or three
_LEAST_WEIGHT = 1e-9
_FALLBACK = (0.5, 1.0, 1.5)  # discounts of a text too small to tell


@dataclass(frozen=True, kw_only=True)
class TrainWordModel:
    """order: words in a row. bits: the table has at most 2^bits slots of eight bytes each."""

    order: int = 3
    bits: int = 23

    def __post_init__(self) -> None:
        if not (1 <= self.order <= MOST_ORDER and 4 <= self.bits <= 30):
            raise ValueError(f"order is 1 to {MOST_ORDER}, and bits are 4 to 30")


class _Rows(NamedTuple):
    """Distinct rows of n words. keys: sorted. counts: how often each occurs. contexts, suffixes:
    which row of n − 1 words it begins with, and ends with."""

    keys: NDArray[np.uint64]
    counts: NDArray[np.int64]
    contexts: NDArray[np.int64]
    suffixes: NDArray[np.int64]


def train_word_model(texts: Iterable[str], config: TrainWordModel) -> WordModel:
    """The model of the texts, each a row of words by itself. Memory: some 120 bytes a word.

    Raises `InputError` where there are no words.
    """
    parts = [_word_keys(text, config.order) for text in texts]
    keys = np.concatenate(parts) if parts else np.zeros((0, config.order), np.uint64)
    if len(keys) == 0:
        raise InputError("the reference has no words to learn from.")
    rows = _count(keys)
    del parts, keys
    most = int(_FULL * (1 << config.bits))
    rare = 0  # what occurs no more often is left out
    while sum(int((one.counts > rare).sum()) for one in rows) > most:
        rare += 1
    kept = [one.counts > rare for one in rows]
    unknown, shares, weights = _estimate(rows, kept)
    table = _table(
        np.concatenate([one.keys[mask] for one, mask in zip(rows, kept, strict=True)]),
        np.concatenate([one[mask] for one, mask in zip(shares, kept, strict=True)]),
        np.concatenate([one[mask] for one, mask in zip(weights, kept, strict=True)]),
    )
    return WordModel(order=config.order, table=table, unknown=unknown)


def _word_keys(text: str, order: int) -> NDArray[np.uint64]:
    """[words, order]; 0 where there are not so many words."""
    if core is not None:
        return core.word_keys([lowered(text)], order)
    keys = [(*of_word, *[0] * (order - len(of_word))) for of_word in keys_of_words(text, order)]
    return np.array(keys, dtype=np.uint64).reshape(-1, order)


def _count(keys: NDArray[np.uint64]) -> list[_Rows]:
    """The rows of 1, 2, … words."""
    found: list[_Rows] = []
    for n in range(keys.shape[1]):
        places = np.flatnonzero(keys[:, n])
        distinct, first, counts = np.unique(keys[places, n], return_index=True, return_counts=True)
        contexts = suffixes = np.zeros(len(distinct), np.int64)
        if n > 0:
            ends = places[first]
            contexts = np.searchsorted(found[-1].keys, keys[ends - 1, n - 1])
            suffixes = np.searchsorted(found[-1].keys, keys[ends, n - 1])
        found.append(_Rows(distinct, counts, contexts, suffixes))
    return found


def _estimate(
    rows: list[_Rows], kept: list[NDArray[np.bool_]]
) -> tuple[float, list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """The probability of an unknown word; and of each row its share of what follows its context,
    and the weight of the shorter one behind it as a context."""
    shares, weights = [], []
    size = 1  # of contexts
    for n, one in enumerate(rows):
        adjusted = one.counts
        if n + 1 < len(rows):
            adjusted = np.bincount(rows[n + 1].suffixes, minlength=len(one.keys))
        totals = np.bincount(one.contexts, adjusted, size)
        less = np.array([0, *discounts(adjusted)])[np.minimum(adjusted, 3)]
        share = (adjusted - less) / np.maximum(totals, 1)[one.contexts]
        weight = 1 - np.bincount(one.contexts[kept[n]], share[kept[n]], size)
        shares.append(share)
        weights.append(np.maximum(weight, _LEAST_WEIGHT))
        size = len(one.keys)
    unknown = float(weights[0][0] / (kept[0].sum() + 1))  # all words are as likely as it
    return unknown, shares, [*weights[1:], np.ones(size)]


def discounts(adjusted: NDArray[Any]) -> tuple[float, float, float]:
    """What is taken off counts of 1, of 2, and of 3 and more (Chen and Goodman 1999, equation 17):
    D(j) = j − (j + 1) · Y · n(j + 1) / n(j) with Y = n(1) / (n(1) + 2 · n(2)), where n(j) is how
    many rows count j."""
    n = np.bincount(np.minimum(adjusted, 5), minlength=6)
    if n[1:4].min() == 0:
        return _FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    one, two, three = (float(j - (j + 1) * y * n[j + 1] / n[j]) for j in (1, 2, 3))
    return (one, two, three) if min(one, two, three) >= 0 else _FALLBACK


def _table(
    keys: NDArray[np.uint64], shares: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.uint32]:
    """Slots in the order in which a look-up takes them: from the place that a key's hash names up
    to the first that is free."""
    size = 2
    while len(keys) > _FULL * size:
        size *= 2
    values = keys ^ keys >> 33
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):  # `scrambled`, of all
        values = values * np.uint64(factor)
        values ^= values >> 33
    home = ((values >> 32) % size).astype(np.int64)
    order = np.argsort(home, kind="stable")
    places = _places(home[order])
    if (beyond := places >= size).any():  # they go on at the beginning, and push others on
        home[order[beyond]] = 0
        order = np.concatenate([order[beyond], order[~beyond]])
        places = _places(home[order])
    table = np.zeros((size, 2), np.uint32)
    table[places, 0] = values[order] & 0xFFFFFFFF | 1
    table[places, 1] = _upper_half(shares[order]) << 16 | _upper_half(weights[order])
    return table


def _places(home: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of keys in the order of the places where they belong: behind it, none twice."""
    number = np.arange(len(home))
    return number + np.maximum.accumulate(home - number)


def _upper_half(values: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Of float32, rounded."""
    return (values.astype(np.float32).view(np.uint32) + np.uint32(0x8000)) >> np.uint32(16)
