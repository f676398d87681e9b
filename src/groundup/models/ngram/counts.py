"""Count the n-grams of a stream of documents, batch by batch.

Memory holds the distinct n-grams of every order and the sorted keys of one batch, however long a
document is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundup.core.errors import InputError
from groundup.models.ngram.config import NGram
from groundup.models.ngram.keys import contexts_of, pack, tokens_of

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """keys[i]: the sorted keys of the distinct n-grams of order i + 2, uint64.

    counts[i]: how often each n-gram of order i + 1 occurs, int64. The unigrams are all ids of the
    vocabulary and, with boundaries, the end and the begin token.
    """

    keys: list[Array]
    counts: list[Array]


def count_ngrams(
    config: NGram, documents: Iterable[Array], *, batch_tokens: int = 1 << 21
) -> Counts:
    """Count every n-gram of orders 1 … config.order; no n-gram crosses a document's border.

    documents: integer arrays [T]. batch_tokens: how many are sorted at a time.
    Raises `InputError` where there is no document, or one that is not a row of token ids.
    """
    unigrams = np.zeros(config.vocab_size + 2 * config.boundaries, dtype=np.int64)
    keys = [np.empty(0, dtype=np.uint64) for _ in range(config.order - 1)]
    counts = [unigrams, *(np.empty(0, dtype=np.int64) for _ in keys)]
    for tokens, age, counted in _batches(config, documents, batch_tokens):
        unigrams += np.bincount(tokens[counted], minlength=len(unigrams))
        ids, moved = tokens, None
        for i in range(config.order - 1):
            if moved is not None:
                keys[i] = pack(moved[contexts_of(keys[i])], tokens_of(keys[i]))
            ends = np.flatnonzero(age > i)  # where an n-gram of order i + 2 ends
            batch = pack(ids[ends - 1], tokens[ends])
            order = np.argsort(batch)
            batch = batch[order]
            first = np.r_[True, batch[1:] != batch[:-1]][: len(batch)]
            starts = np.flatnonzero(first)
            new = batch[starts]
            times = (
                np.add.reduceat(counted[ends[order]], starts, dtype=np.int64)
                if len(new)
                else starts
            )
            keys[i], counts[i + 1], moved = _merge(keys[i], counts[i + 1], new, times)
            ids = np.zeros(len(tokens), dtype=np.int64)
            ids[ends[order]] = np.searchsorted(keys[i], new)[np.cumsum(first) - 1]
    return Counts(keys=keys, counts=counts)


def _merge(
    keys: Array, counts: Array, new_keys: Array, new_counts: Array
) -> tuple[Array, Array, Array]:
    """The union of two sorted sets of keys, its counts, and the new id of each key of the first."""
    at = np.searchsorted(keys, new_keys)
    known = np.zeros(len(at), dtype=bool)
    inside = at < len(keys)
    known[inside] = keys[at[inside]] == new_keys[inside]
    counts[at[known]] += new_counts[known]
    places = at[~known]
    places += np.arange(len(places))
    old = np.ones(len(keys) + len(places), dtype=bool)
    old[places] = False
    merged_keys = np.empty(len(old), dtype=np.uint64)
    merged_counts = np.empty(len(old), dtype=np.int64)
    merged_keys[old], merged_keys[places] = keys, new_keys[~known]
    merged_counts[old], merged_counts[places] = counts, new_counts[~known]
    return merged_keys, merged_counts, np.flatnonzero(old)


def _batches(
    config: NGram, documents: Iterable[Array], batch_tokens: int
) -> Iterator[tuple[Array, Array, Array]]:
    """Tokens, how many tokens of the row precede each, and whether it is to be counted: [T] each.

    A long document is cut; its next piece begins with the order − 1 tokens before the cut, which
    are there as context and are not counted again.
    """
    pieces: list[tuple[Array, Array, Array]] = []
    size = documents_seen = 0
    for documents_seen, document in enumerate(documents, 1):
        row = _row(config, document, documents_seen)
        for start in range(0, len(row), batch_tokens):
            before = min(start, config.order - 1)
            tokens = row[start - before : start + batch_tokens].astype(np.int64)
            age = np.arange(len(tokens))
            pieces.append((tokens, age, age >= before))
            size += len(tokens)
            if size >= batch_tokens:
                yield _joined(pieces)
                pieces, size = [], 0
    if not documents_seen:
        raise InputError("there are no documents to count.")
    if pieces:
        yield _joined(pieces)


def _joined(pieces: list[tuple[Array, Array, Array]]) -> tuple[Array, Array, Array]:
    tokens, age, counted = (np.concatenate(part) for part in zip(*pieces, strict=True))
    return tokens, age, counted


def _row(config: NGram, document: Array, number: int) -> Array:
    tokens = np.asarray(document)
    where = f"document {number}"
    check_tokens(tokens, config.vocab_size, where)
    if tokens.ndim != 1:
        raise InputError(f"{where} has {tokens.ndim} axes: give one row of token ids.")
    if not config.boundaries:
        return tokens
    end, begin = config.vocab_size, config.vocab_size + 1
    row = np.empty(len(tokens) + 2, dtype=np.int32)
    row[0], row[1:-1], row[-1] = begin, tokens, end
    return row


def check_tokens(tokens: Array, size: int, where: str) -> None:
    """Raise `InputError` unless the array holds integers from 0 to size − 1."""
    if tokens.size and not np.issubdtype(tokens.dtype, np.integer):
        raise InputError(f"{where} holds {tokens.dtype}: give integer token ids.")
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < size:
        raise InputError(
            f"{where} has a token id outside 0 … {size - 1}: use the tokenizer of the model."
        )
