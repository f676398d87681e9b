"""An n-gram model of words in a table of hashes: how surprising a text is to it, a word.

    p(w | context) = share(context w) + weight(context) · p(w | shorter context)

`training` says what shares and weights are. The perplexity of a text is exp(−mean ln p), which is
low where the text goes on as the reference does (Wenzek et al. 2019, "CCNet", section 3.4).

A word is a run of letters and digits, in lower case, or a symbol by itself, as for classifiers. Of
a row of words only a hash is kept: a slot of eight bytes has 31 bits of it, and share and weight
as the upper halves of their float32, which are right to 0.4 %. A hash that another row has, too,
comes once in 2³¹ look-ups.

`core` has the same in C++.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as to_safetensors

from groundup.core.errors import ArtifactError
from groundup.core.files import write_bytes
from groundup.core.native import core
from groundup.curate.classify.ngrams import words_and_symbols
from groundup.curate.duplicates.shingles import BASE, lowered, scrambled, word_hash

MOST_ORDER = 8

_KIND = "groundup word model, 1"
_64_BITS, _32_BITS = (1 << 64) - 1, (1 << 32) - 1


@dataclass(frozen=True, kw_only=True)
class WordModel:
    """order: words of the longest row. table: uint32 [slots, 2], each the mark of a row of words,
    and its share and weight; zeros where there is none. unknown: the probability of a word that is
    not there, behind no context."""

    order: int
    table: NDArray[np.uint32]
    unknown: float

    def perplexities(self, texts: list[str]) -> NDArray[np.float64]:
        """Of each text; NaN where it has no words."""
        sums, counts = self._log_likelihoods(texts)
        return np.exp(-sums / np.where(counts > 0, counts, np.nan))

    def _log_likelihoods(self, texts: list[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        if core is not None:
            texts = [lowered(text) for text in texts]
            return core.log_likelihoods(texts, self.order, self.table, self.unknown)
        logs = [[math.log(p) for p in self.reference(text)] for text in texts]
        counts = np.array([len(of_text) for of_text in logs], dtype=np.int64)
        return np.array([sum(of_text) for of_text in logs], dtype=np.float64), counts

    def reference(self, text: str) -> Iterator[float]:
        """The probabilities of the words."""
        before: list[float] = []  # weights of the contexts that end at the word before
        for keys in keys_of_words(text, self.order):
            probability, weights = self.unknown, []
            for n, key in enumerate(keys):
                if n > len(before):
                    break
                if n > 0:
                    probability *= before[n - 1]
                found = self._find(key) if len(weights) == n else None
                if found is not None:
                    probability += found[0]
                    weights.append(found[1])
            yield probability
            before = weights

    def _find(self, key: int) -> tuple[float, float] | None:
        value = scrambled(key)
        for step in range(len(self.table)):
            mark, halves = self.table[((value >> 32) + step) % len(self.table)].tolist()
            if mark == 0:
                return None
            if mark == mark_of(value):
                share, weight = np.array([halves & 0xFFFF0000, halves << 16 & _32_BITS], np.uint32)
                return float(share.view(np.float32)), float(weight.view(np.float32))
        return None

    def save(self, path: Path) -> None:
        """Write one `.safetensors` file."""
        facts = json.dumps({"order": self.order, "unknown": self.unknown})
        write_bytes(path, to_safetensors({"table": self.table}, {_KIND: facts}))


def load_word_model(path: Path) -> WordModel:
    """What `WordModel.save` wrote. Raises `ArtifactError` where the file is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            header = file.metadata() or {}
            if _KIND not in header:
                raise ValueError("its header names no model of words")
            facts = json.loads(header[_KIND])
            table = file.get_tensor("table")
        order, unknown = facts["order"], facts["unknown"]
        if not (isinstance(order, int) and 1 <= order <= MOST_ORDER and 0 < unknown <= 1):
            raise ValueError("its order or a probability is out of range")
        if table.dtype != np.uint32 or table.ndim != 2 or table.shape[1] != 2:
            raise ValueError("its table is of another shape")
        if len(table) == 0 or len(table) & (len(table) - 1):
            raise ValueError("its table's size is no power of two")
        halves = np.stack([table[:, 1] & 0xFFFF0000, table[:, 1] << 16]).view(np.float32)
        if not ((halves >= 0) & (halves <= 1)).all():
            raise ValueError("a probability is out of range")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} is no model of words that can be read ({error}): train one by "
            "groundup curate train-perplexity."
        ) from error
    return WordModel(order=order, table=table, unknown=float(unknown))


def keys_of_words(text: str, order: int) -> Iterator[list[int]]:
    """The reference: of every word the keys of rows of 1, 2, … words that end there."""
    keys: list[int] = []
    for word in words_and_symbols(text):
        value = word_hash(word.encode("utf-8"))
        keys = [value, *((key * BASE + value) & _64_BITS for key in keys[: order - 1])]
        yield keys


def mark_of(scrambled_key: int) -> int:
    """What a slot says of the key in it; never 0."""
    return scrambled_key & _32_BITS | 1
