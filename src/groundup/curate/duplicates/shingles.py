"""A text as the set of its shingles: hashes of every few words in a row.

What two texts share is measured on these sets (Broder 1997, "On the resemblance and containment of
documents"). A word is hashed once, and a row of words is a polynomial of their hashes modulo 2⁶⁴,
to which a word is added and from which one is taken in two multiplications, whatever the width; no
string is made. Collisions of 64 bits do not matter: among 10⁹ shingles there is one in forty runs.

A word is a row of letters and digits in lower case, so that two editions of a text that differ in
quotation marks, dashes or italics are alike; or, where asked for, all that stands between white
space, as most tools have it. In scripts that put no space between words (Han, kana, Thai, Lao,
Khmer, Burmese) each character is one.

`core` has the same in C++.
"""

import re
from collections import deque

import numpy as np
from numpy.typing import NDArray

from groundup.core.native import core

Hashes = NDArray[np.uint64]

_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_PUNCTUATION = (
    "\x80-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7\u060c\u061b\u061f\u06d4\u0964\u0965"
    "\u2000-\u200b\u200e-\u206f\u2e00-\u2e7f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20"
    "\uff3b-\uff40\uff5b-\uff65"
)
WORD = {
    True: re.compile(rf"[{_ALONE}]|[^\s{_ALONE}]+"),
    False: re.compile(rf"[{_ALONE}]|(?:[0-9a-z]|[^\x00-\x7f\s{_PUNCTUATION}{_ALONE}])+"),
}

_64_BITS = (1 << 64) - 1
_OF_LENGTH, _OF_PART, BASE = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0x9FB21C651E98DF25


def shingles(text: str, width: int = 5, *, punctuation: bool = False) -> Hashes:
    """The hashes of every `width` words in a row, sorted, each once.

    A text of fewer words has one shingle, of all of them; one without words has none.
    punctuation: whether it is part of words.
    """
    if core is None:
        return np.unique(np.array(shingles_in_order(text, width, punctuation), dtype=np.uint64))
    return core.shingles(lowered(text), width, punctuation)


def rows(
    texts: list[str], width: int, *, punctuation: bool = False
) -> tuple[Hashes, NDArray[np.int64]]:
    """The hashes of every `width` words in a row of all texts, as they stand, and where each text's
    end. A text of fewer words has none."""
    if core is not None:
        return core.rows([*map(lowered, texts)], width, punctuation)
    hashes = [
        shingles_in_order(text, width, punctuation)
        if len(words(text, punctuation)) >= width
        else []
        for text in texts
    ]
    ends = np.cumsum([len(of_text) for of_text in hashes], dtype=np.int64)
    return np.array([one for of_text in hashes for one in of_text], dtype=np.uint64), ends


def jaccard(one: Hashes, other: Hashes) -> float:
    """|A ∩ B| / |A ∪ B| of two results of `shingles`; 0 where both are empty."""
    if core is None:
        shared = len(np.intersect1d(one, other, assume_unique=True))
    else:
        shared = core.shared(one, other)
    return shared / max(1, len(one) + len(other) - shared)


def lowered(text: str) -> str:
    """The text as the compiled core takes it, which lowers the letters of ASCII itself."""
    return text if text.isascii() else text.lower()


def words(text: str, punctuation: bool) -> list[str]:
    """The words in lower case, in order."""
    return WORD[punctuation].findall(text.lower())


def word_spans(text: str, punctuation: bool) -> list[tuple[int, int]]:
    """Where in the text in lower case each word begins and ends."""
    return [match.span() for match in WORD[punctuation].finditer(text.lower())]


def shingles_in_order(text: str, width: int, punctuation: bool) -> list[int]:
    """The reference: hashes of every `width` words in a row, as they stand."""
    last: deque[int] = deque(maxlen=width)
    hashes: list[int] = []
    for word in words(text, punctuation):
        last.append(word_hash(word.encode("utf-8")))
        if len(last) == width:
            hashes.append(scrambled(_polynomial(last)))
    if last and not hashes:
        hashes.append(scrambled(_polynomial(last)))
    return hashes


def word_hash(word: bytes) -> int:
    """64 bits of a word, eight bytes of it at a time."""
    value = len(word) * _OF_LENGTH & _64_BITS
    for begin in range(0, len(word), 8):
        part = int.from_bytes(word[begin : begin + 8], "little")
        value = (value ^ part) * _OF_PART & _64_BITS
        value ^= value >> 32
    return value


def scrambled(value: int) -> int:
    """64 bits each of which depends on all of the value's (MurmurHash3's last step)."""
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & _64_BITS
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & _64_BITS
    return value ^ value >> 33


def _polynomial(hashes: deque[int]) -> int:
    value = 0
    for word in hashes:
        value = (value * BASE + word) & _64_BITS
    return value
