"""Which shingles of a text are among known ones, and where they stand in it."""

import numpy as np
from numpy.typing import NDArray

from groundup.core.native import core
from groundup.curate.duplicates.shingles import Hashes, lowered, rows, word_spans


class Known:
    """known: shingles of `width` words, sorted, each once. `core` has the same in C++, where one of
    16 bits says of nearly all others that they are none of them."""

    def __init__(self, width: int, known: Hashes):
        self._width, self._known = width, known
        self._core = core.KnownShingles(width, False, known) if core is not None else None

    def find(self, text: str) -> NDArray[np.int64]:
        """[3, found]: numbers of the known shingles in order of the text, and the characters where
        they begin and end."""
        lower = lowered(text)
        found = self._find(text) if self._core is None else self._core.find(lower)
        if len(lower) != len(text):  # İ is two characters in lower case
            ends = np.cumsum([len(character.lower()) for character in text])
            found[1] = np.searchsorted(ends, found[1], side="right")
            found[2] = np.searchsorted(ends, found[2], side="left") + 1
        return found

    def _find(self, text: str) -> NDArray[np.int64]:
        """The reference; characters of the text in lower case."""
        hashes, _ = rows([text], self._width)
        numbers = np.searchsorted(self._known, hashes)
        (at,) = np.nonzero(np.isin(hashes, self._known))
        spans = np.array(word_spans(text, punctuation=False), dtype=np.int64).reshape(-1, 2)
        return np.stack([numbers[at], spans[at, 0], spans[at + self._width - 1, 1]])
