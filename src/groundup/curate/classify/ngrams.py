"""What a classifier sees of a text: the buckets into which its words and its characters fall.

Every word, every row of a few words, and every row of a few characters of a word is hashed to one
of 2^bits buckets (Weinberger et al. 2009, "Feature hashing"), so that there is no vocabulary to
keep and no word that is not known. Rows of characters let a classifier see word stems,
misspellings, and languages; `<` and `>` stand for a word's ends, as in fastText (Bojanowski et al.
2017).

Texts are in lower case. A word is a row of letters, digits, `_` and characters beyond ASCII; every
other visible character of ASCII is one by itself; so is every one of a script without spaces.

`core` has the same in C++.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundup.core.native import core
from groundup.curate.duplicates.shingles import BASE, lowered, scrambled, word_hash, words

_64_BITS = (1 << 64) - 1
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


class Buckets(NamedTuple):
    """Those of several texts one after the other, uint32, and where each text's end, int64."""

    numbers: NDArray[np.uint32]
    ends: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Ngrams:
    """bits: of a bucket's number. words: at most so many in a row. shortest, longest: characters
    in a row, `<` and `>` included; no rows of them where longest is below shortest."""

    bits: int = 20
    words: int = 2
    shortest: int = 2
    longest: int = 5

    def __post_init__(self) -> None:
        if not (1 <= self.bits <= 30 and 1 <= self.words <= 5):
            raise ValueError("bits are 1 to 30, and words in a row 1 to 5")
        if not (self.shortest >= 1 and self.longest <= 15):
            raise ValueError("characters in a row are 1 to 15")

    def kind(self) -> tuple[int, int, int, int]:
        """As the compiled core takes it."""
        return self.bits, self.words, self.shortest, self.longest

    def buckets(self, texts: list[str]) -> Buckets:
        """The buckets of each text, as often as they occur."""
        if core is not None:
            return Buckets(*core.features([lowered(text) for text in texts], self.kind()))
        of_each = [list(self.reference(text)) for text in texts]
        numbers = [number for buckets in of_each for number in buckets]
        ends = np.cumsum([len(buckets) for buckets in of_each], dtype=np.int64)
        return Buckets(np.array(numbers, dtype=np.uint32), ends)

    def reference(self, text: str) -> Iterator[int]:
        last: list[int] = []  # hashes of the words before, the nearest first
        for word in words_and_symbols(text):
            value = row = word_hash(word.encode("utf-8"))
            yield self._bucket(value)
            yield from self._of_characters(word)
            for before in last[: self.words - 1]:
                row = (row * BASE + before) & _64_BITS
                yield self._bucket(row)
            last = [value, *last[:3]]

    def _of_characters(self, word: str) -> Iterator[int]:
        if not _is_letter(word[0]):
            return
        marked = f"<{word}>"
        for begin in range(len(marked) - 1):
            for end in range(begin + self.shortest, min(begin + self.longest, len(marked)) + 1):
                if end - begin > 1 or begin > 0:
                    yield self._bucket(_characters_hash(marked[begin:end]))

    def _bucket(self, value: int) -> int:
        return scrambled(value) >> 64 - self.bits


def words_and_symbols(text: str) -> Iterator[str]:
    """In lower case, in order."""
    for visible in words(text, punctuation=True):
        begin = 0
        for end in range(1, len(visible) + 1):
            goes_on = end < len(visible) and _is_letter(visible[end]) and _is_letter(visible[begin])
            if not goes_on:
                yield visible[begin:end]
                begin = end


def _is_letter(character: str) -> bool:
    return character >= "\x80" or character.isalnum() or character == "_"


def _characters_hash(characters: str) -> int:
    """FNV-1a."""
    value = _FNV_OFFSET
    for byte in characters.encode("utf-8"):
        value = (value ^ byte) * _FNV_PRIME & _64_BITS
    return value
