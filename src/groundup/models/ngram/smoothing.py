"""From counts to probabilities: interpolated smoothing, order by order (Chen and Goodman 1998).

    p(w | context) = mass(context w) / total(context) + backoff(context) · p(w | shorter context)

A smoothing says what mass an n-gram has and what a context's total is. The back-off weight is the
share that no kept n-gram has, so the probabilities sum to one, with pruning too: kenlm's rule
(Heafield et al. 2013, section 3).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from groundup.models.ngram.config import KneserNey, NGram
from groundup.models.ngram.counts import Counts, count_ngrams
from groundup.models.ngram.keys import contexts_of, find, pack, tokens_of
from groundup.models.ngram.model import NGramModel

Array = np.ndarray[Any, Any]

_FALLBACK = (0.5, 1.0, 1.5)  # kenlm's --discount_fallback


def train_ngram(
    config: NGram, documents: Iterable[Array], *, batch_tokens: int = 1 << 21
) -> NGramModel:
    """Count the documents and estimate the model. Arguments and errors: see `count_ngrams`."""
    return estimate(config, count_ngrams(config, documents, batch_tokens=batch_tokens))


def estimate(config: NGram, counts: Counts) -> NGramModel:
    """The model of these counts, which are left as they are."""
    suffixes = _suffixes(counts)
    adjusted = _adjusted(config, counts, suffixes)
    outcomes = config.vocab_size + config.boundaries
    lower = np.full(1, 1 / outcomes)  # the order below the unigrams: the uniform distribution
    kept_contexts = np.ones(1, dtype=bool)
    new_ids = np.zeros(1, dtype=np.int64)
    keys, logprobs, backoffs = [], [], []
    for i in range(config.order):
        raw = counts.counts[i]
        contexts = contexts_of(counts.keys[i - 1]) if i else np.zeros(len(raw), dtype=np.int64)
        kept = raw > config.threshold(i + 1) if i else np.ones(len(raw), dtype=bool)
        share, backoff = _shares(config, i + 1, raw, adjusted[i], contexts, kept, len(lower))
        lower = share + backoff[contexts] * lower[suffixes[i]]
        if i == 0 and config.boundaries:
            lower[-1] = 0.0  # the begin token is never predicted
        if i:
            backoffs.append(_log(backoff)[kept_contexts])
            tokens = tokens_of(counts.keys[i - 1])
            keys.append(pack(new_ids[contexts[kept]], tokens[kept]))
        logprobs.append(_log(lower)[kept])
        new_ids, kept_contexts = np.cumsum(kept) - 1, kept
    return NGramModel(
        order=config.order,
        vocab_size=config.vocab_size,
        boundaries=config.boundaries,
        keys=keys,
        logprobs=logprobs,
        backoffs=backoffs,
    )


def discounts(adjusted: Array) -> tuple[float, float, float]:
    """What modified Kneser-Ney takes off n-grams that count 1, 2, and 3 or more.

    Chen and Goodman 1998, equation 26: D(j) = j − (j + 1) · Y · n(j + 1) / n(j) with
    Y = n(1) / (n(1) + 2 · n(2)), where n(j) is the number of n-grams that count j.
    """
    n = [float(np.count_nonzero(adjusted == j)) for j in range(5)]
    if min(n[1:4]) == 0:
        return _FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    one, two, three = (j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3))
    return (one, two, three) if min(one, two, three) >= 0 else _FALLBACK


def _suffixes(counts: Counts) -> list[Array]:
    """For each n-gram, the id of its last n − 1 tokens; a unigram's is 0."""
    suffixes = [np.zeros(len(counts.counts[0]), dtype=np.int64)]
    for i, keys in enumerate(counts.keys):
        tokens = tokens_of(keys)
        if i:
            tokens = find(counts.keys[i - 1], pack(suffixes[i][contexts_of(keys)], tokens))
        suffixes.append(tokens)
    return suffixes


def _adjusted(config: NGram, counts: Counts, suffixes: list[Array]) -> list[Array]:
    """The counts that the smoothing is computed from, by order.

    Kneser-Ney: at the highest order the occurrences, below it the distinct tokens that precede
    the n-gram; nothing precedes one that starts with the begin token, so its occurrences stay.
    """
    adjusted = []
    begins = config.vocab_size + 1  # n-grams that start with the begin token have the highest ids
    for i, raw in enumerate(counts.counts):
        if i:
            begins = np.searchsorted(counts.keys[i - 1], np.uint64(begins) << np.uint64(32))
        if isinstance(config.smoothing, KneserNey) and i + 1 < config.order:
            values = np.bincount(suffixes[i + 1], minlength=len(raw))
            values[begins:] = raw[begins:]
        else:
            values = raw.copy()
        if i == 0:
            values[begins:] = 0  # the begin token is a context, never an outcome
        adjusted.append(values)
    return adjusted


def _shares(
    config: NGram,
    order: int,
    raw: Array,
    adjusted: Array,
    contexts: Array,
    kept: Array,
    n_contexts: int,
) -> tuple[Array, Array]:
    """mass / total of each n-gram, and the back-off weight of each context, float64."""
    total = np.bincount(contexts, adjusted, n_contexts)
    smoothing = config.smoothing
    if order == 1 and not config.uniform:
        mass = adjusted.astype(np.float64)
    elif not isinstance(smoothing, KneserNey):
        mass = adjusted.astype(np.float64)
        total += np.bincount(contexts, adjusted > 0, n_contexts)
    elif smoothing.discount is None:
        mass = adjusted - np.array((0.0, *discounts(adjusted)))[np.minimum(adjusted, 3)]
    else:
        mass = np.maximum(adjusted - smoothing.discount, 0.0)
    rest = total - np.bincount(contexts, mass * kept, n_contexts)
    if isinstance(smoothing, KneserNey) and not smoothing.normalized and order > 1:
        rest = np.bincount(contexts, raw > 0, n_contexts) * float(smoothing.discount or 0)
    empty = total == 0  # a context that nothing follows leaves everything to the shorter one
    total[empty], rest[empty] = 1.0, 1.0
    return mass / total[contexts], np.maximum(rest, 0.0) / total


def _log(probabilities: Array) -> Array:
    with np.errstate(divide="ignore"):  # a probability of zero is −inf
        return np.log(probabilities).astype(np.float32)
