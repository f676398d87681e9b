"""A text as measures look at it: cut and counted once, when the first of them asks."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from groundup.curate.rules.encoded import Encoded, encoded_data
from groundup.curate.rules.rows import repeated_rows
from groundup.curate.rules.words import WordCounts, count_words

_BLANK_LINES = re.compile("\n\n+")


class Repeats(NamedTuple):
    """What parts of a text that were there before make up: their share of the parts, and of the
    characters."""

    parts: float
    characters: float


class TextView:
    """The text, and what it is made of."""

    def __init__(self, text: str):
        self.text = text

    @cached_property
    def all_lines(self) -> list[str]:
        """As they stand, blank ones included."""
        lines = self.text.split("\n")
        return lines if lines[-1] else lines[:-1]

    @cached_property
    def _stripped(self) -> list[str]:
        return [line.strip() for line in self.all_lines]

    @cached_property
    def lines(self) -> list[str]:
        """Without white space at their ends; those that are not blank."""
        return [line for line in self._stripped if line]

    @cached_property
    def paragraphs(self) -> list[str]:
        """Lines without a blank one between them."""
        whole = "\n".join(self._stripped).strip("\n")
        return _BLANK_LINES.split(whole) if whole else []

    @cached_property
    def line_characters(self) -> int:
        return sum(map(len, self.lines))

    @cached_property
    def words(self) -> WordCounts:
        return count_words(self.text)

    @cached_property
    def rows(self) -> dict[int, int]:
        """Characters of rows of words that occur more than once."""
        return repeated_rows(self.text)

    @cached_property
    def encoded(self) -> Encoded:
        return encoded_data(self.text)

    @cached_property
    def repeated_lines(self) -> Repeats:
        return _repeats(self.lines)

    @cached_property
    def repeated_paragraphs(self) -> Repeats:
        return _repeats(self.paragraphs)


def share(part: float, whole: float) -> float:
    """part / whole, and 0 of nothing."""
    return part / whole if whole else 0.0


def _repeats(parts: Sequence[str]) -> Repeats:
    once = set(parts)
    characters = sum(map(len, parts))
    repeated = characters - sum(map(len, once))
    return Repeats(share(len(parts) - len(once), len(parts)), share(repeated, characters))
