"""What near-duplicates change: the places in which two documents differ, by words."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from groundup.curate.duplicates.shingles import jaccard, shingles

_WORD = re.compile(r"(\w+|[^\w\s])\s*")
_WORDS = 5_000  # of a text are compared: the time can grow with their square
_AROUND = 8  # words that are shown before and after a change
_CHARS = 400  # of a piece are shown
_PLACES = 8  # are shown


@dataclass(frozen=True)
class Piece:
    """Some words in a row, of both texts or of one of them."""

    of: Literal["both", "one", "other"]
    text: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Of two texts. similarity: Jaccard's, of their shingles. places: where they differ, each with
    some words around; `more` are left out."""

    similarity: float
    places: list[list[Piece]]
    more: int


def compare(
    one: str, other: str, *, width: int = 5, punctuation: bool = False, open_end: bool = False
) -> Comparison:
    """width, punctuation: of the shingles. open_end: both texts go on, so that what only one of
    them has at its end is no difference."""
    sets = [shingles(text, width, punctuation=punctuation) for text in (one, other)]
    places = changes(one, other)
    if open_end and places:
        while places[-1] and places[-1][-1].of != "both":
            places[-1].pop()
        if all(piece.of == "both" for piece in places[-1]):
            places.pop()
    return Comparison(
        similarity=jaccard(*sets), places=places[:_PLACES], more=max(0, len(places) - _PLACES)
    )


def changes(one: str, other: str) -> list[list[Piece]]:
    """The places in which the beginnings of two texts differ, in order. White space makes no
    difference, and is that of the text. Of a text of 200 words and more, no match begins with a
    word that is more than a hundredth of it: it would take forever where a text repeats itself."""
    ours, theirs = (list(islice(_WORD.finditer(text), _WORDS)) for text in (one, other))
    matcher = difflib.SequenceMatcher(
        None, [word[1] for word in ours], [word[1] for word in theirs]
    )
    places = []
    for group in matcher.get_grouped_opcodes(_AROUND):
        place = []
        for kind, begin, end, their_begin, their_end in group:
            if kind == "equal":
                place.append(Piece("both", _text(theirs[their_begin:their_end])))
                continue
            if begin < end:
                place.append(Piece("one", _text(ours[begin:end])))
            if their_begin < their_end:
                place.append(Piece("other", _text(theirs[their_begin:their_end])))
        places.append(place)
    return places


def _text(words: Sequence[re.Match[str]]) -> str:
    text = words[0].string[words[0].start() : words[-1].end()]
    return text if len(text) <= _CHARS else f"{text[:_CHARS]} … "
