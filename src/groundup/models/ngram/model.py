"""A trained n-gram model: flat sorted arrays, scored all positions at once, saved memory-mapped.

    config.json       order, vocabulary, boundaries
    keys-2.npy        sorted keys of the bigrams (see `keys`), uint64; and so on for each order
    logprobs-1.npy    ln p of each unigram, float32; and so on
    backoffs-1.npy    ln of the back-off weight of each unigram as a context; not for the last order
    manifest.json     checksums, written last

The directory is a finished artifact, see `groundup.core.manifest`.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundup.core.errors import ArtifactError
from groundup.core.files import PARTIAL, atomic_file, read_json, sync, write_json
from groundup.core.manifest import read_manifest, write_manifest
from groundup.models.ngram.counts import check_tokens
from groundup.models.ngram.keys import TOKEN_BITS, find, pack, tokens_of

Array = np.ndarray[Any, Any]

NGRAM = "ngram"
_INFO = "config.json"
_CHUNK = 1 << 20  # positions scored at a time: bounds the memory


class NGramModel:
    """ln p(w | context) is the n-gram's log-probability where the model has it, else the context's
    back-off weight plus ln p(w | the context without its first token)."""

    def __init__(
        self,
        *,
        order: int,
        vocab_size: int,
        boundaries: bool,
        keys: Sequence[Array],
        logprobs: Sequence[Array],
        backoffs: Sequence[Array],
    ):
        self.order = order
        self.vocab_size = vocab_size
        self.boundaries = boundaries
        self.keys = list(keys)
        self.log_probabilities = list(logprobs)
        self.backoffs = list(backoffs)

    @property
    def end(self) -> int | None:
        """The id of the end token; None without boundaries."""
        return self.vocab_size if self.boundaries else None

    @property
    def begin(self) -> int | None:
        """The id of the begin token; None without boundaries."""
        return self.vocab_size + 1 if self.boundaries else None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of n-grams of each order."""
        return tuple(len(values) for values in self.log_probabilities)

    def logprobs(self, tokens: Array) -> Array:
        """Log-probability of each token but the first, given those before it: [B, T−1], in nats.

        tokens: integers [T] or [B, T], an array or a tensor; the begin token may be the first, as
        it is of a document that is scored whole, and the end token anywhere. Raises `InputError`
        for an unknown id.
        """
        tokens = np.asarray(tokens)
        rows = np.atleast_2d(tokens)
        self._check(rows, "the tokens to score")
        width = rows.shape[1]
        flat = rows.astype(np.int64).ravel()
        scores = np.empty(len(flat), dtype=np.float32)
        for start in range(0, len(flat), _CHUNK):
            before = min(start, self.order - 1)
            stop = min(start + _CHUNK, len(flat))
            age = np.arange(start - before, stop) % width
            age = np.minimum(age, np.arange(len(age)))
            scores[start:stop] = self._score(flat[start - before : stop], age)[before:]
        return scores.reshape(rows.shape)[:, 1:].reshape(*tokens.shape[:-1], -1)

    def next_logprobs(self, context: Array) -> Array:
        """Log-probability of every token that may follow the context, in nats.

        context: integers [T], may be empty; the begin token may be the first. Returns float32 [V],
        with boundaries [V + 1], the end token last. Raises `InputError` for an unknown id.
        """
        context = np.asarray(context)
        self._check(context[None], "the context")
        row = [int(token) for token in context[max(0, len(context) - self.order + 1) :]]
        scores = np.array(self.log_probabilities[0][: self.vocab_size + self.boundaries])
        for length in range(1, len(row) + 1):
            at = self._id(row[len(row) - length :])
            if at is None:
                continue
            scores += self.backoffs[length - 1][at]
            keys = self.keys[length - 1]
            first, last = np.searchsorted(keys, np.array([at, at + 1], np.uint64) << TOKEN_BITS)
            scores[tokens_of(keys[first:last])] = self.log_probabilities[length][first:last]
        return scores

    def save(self, directory: Path) -> None:
        """Write the model as a finished artifact; what was there before is replaced."""
        partial = directory.with_name(directory.name + PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        info = {"order": self.order, "vocab_size": self.vocab_size, "boundaries": self.boundaries}
        write_json(partial / _INFO, info)
        for name, arrays in self._arrays().items():
            for number, array in arrays.items():
                with atomic_file(partial / f"{name}-{number}.npy") as file:
                    np.save(file, array, allow_pickle=False)
        write_manifest(partial, kind=NGRAM, inputs={}, facts={"ngrams": list(self.sizes)})
        if directory.exists():
            shutil.rmtree(directory)
        partial.rename(directory)
        sync(directory.parent)

    def _arrays(self) -> dict[str, dict[int, Array]]:
        return {
            "keys": dict(enumerate(self.keys, 2)),
            "logprobs": dict(enumerate(self.log_probabilities, 1)),
            "backoffs": dict(enumerate(self.backoffs, 1)),
        }

    def _score(self, tokens: Array, age: Array) -> Array:
        """tokens, and how many tokens of its row precede each: [T] → float32 [T]."""
        scores = self.log_probabilities[0][tokens]
        ids = tokens
        for i, keys in enumerate(self.keys):
            ends = np.flatnonzero((age[1:] > i) & (ids[:-1] >= 0)) + 1
            contexts = ids[ends - 1]
            found = find(keys, pack(contexts, tokens[ends]))
            hit = found >= 0
            scores[ends[~hit]] += self.backoffs[i][contexts[~hit]]
            scores[ends[hit]] = self.log_probabilities[i + 1][found[hit]]
            ids = np.full(len(tokens), -1, dtype=np.int64)
            ids[ends] = found
        return scores

    def _check(self, rows: Array, where: str) -> None:
        """rows: [B, T], of which each may begin with the begin token."""
        check_tokens(rows[:, :1], self.vocab_size + 2 * self.boundaries, where)
        check_tokens(rows[:, 1:], self.vocab_size + self.boundaries, where)

    def _id(self, ngram: list[int]) -> int | None:
        at = ngram[0]
        for keys, token in zip(self.keys, ngram[1:], strict=False):
            key = np.uint64(at << TOKEN_BITS | token)
            at = int(np.searchsorted(keys, key))
            if at == len(keys) or keys[at] != key:
                return None
        return at


def load_ngram(directory: Path) -> NGramModel:
    """The model in `directory`; its arrays stay on disk and are read as they are needed.

    Raises `ArtifactError` where there is no finished model, or a file of it is missing or cut off.
    """
    read_manifest(directory, NGRAM)
    info = read_json(directory / _INFO)
    order = info["order"]
    return NGramModel(
        order=order,
        vocab_size=info["vocab_size"],
        boundaries=info["boundaries"],
        keys=[_map(directory / f"keys-{n}.npy") for n in range(2, order + 1)],
        logprobs=[_map(directory / f"logprobs-{n}.npy") for n in range(1, order + 1)],
        backoffs=[_map(directory / f"backoffs-{n}.npy") for n in range(1, order)],
    )


def _map(path: Path) -> Array:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): train the model again.") from error
