"""What the words of a text are made of: the counts that measures of words share.

A word is what stands between white space, punctuation included, as in Gopher's rules and most
others'; in scripts that put no space between words each character is one
(`curate.duplicates.shingles`). Letters and numbers are those of Unicode.

`core` has the same in C++.
"""

from typing import NamedTuple

from groundup.core.native import core
from groundup.curate.duplicates.shingles import WORD
from groundup.tokenizers.unicode import classes

STOP_WORDS = frozenset(["the", "be", "to", "of", "and", "that", "have", "with"])

_LETTER, _NUMBER = 1 | 2 | 4, 16  # bits of classes: upper, lower, caseless; number


class WordCounts(NamedTuple):
    """characters, letters, numbers: of the words together, and so of all that is visible.
    with_letter: words that have one. stop_words: how many of `STOP_WORDS` occur, whatever their
    case and the punctuation around them."""

    words: int
    characters: int
    letters: int
    numbers: int
    with_letter: int
    stop_words: int


def count_words(text: str) -> WordCounts:
    """The counts of a text."""
    if core is None:
        return reference(text)
    return WordCounts(*core.word_counts(text, classes()))


def reference(text: str) -> WordCounts:
    """The same in Python."""
    words = WORD[True].findall(text)
    kinds = [bytes(classes()[ord(character)] for character in word) for word in words]
    letters = [sum(kind & _LETTER > 0 for kind in word) for word in kinds]
    return WordCounts(
        words=len(words),
        characters=sum(map(len, words)),
        letters=sum(letters),
        numbers=sum(word.count(_NUMBER) for word in kinds),
        with_letter=sum(number > 0 for number in letters),
        stop_words=len(STOP_WORDS & set(map(_bare, words, kinds))),
    )


def _bare(word: str, kinds: bytes) -> str:
    """In lower case, from its first letter or digit to its last."""
    bare = [place for place, kind in enumerate(kinds) if kind & (_LETTER | _NUMBER)]
    return word[bare[0] : bare[-1] + 1].lower() if bare else ""
