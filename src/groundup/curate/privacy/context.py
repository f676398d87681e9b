"""The words near a number that tell what it is: "SSN", "social security", "电话"."""

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property

from groundup.curate.privacy.detector import Spans

BEFORE, BEHIND = 50, 20  # characters between which a word is near: before a datum, and behind it

_WORD = re.compile(r"(?<!<)[^\W\d_]+")  # not that of <PHONE>, which stands where a datum was


class Words:
    """Those of a part of a text, in lower case, and where they stand."""

    def __init__(self, text: str, begin: int, end: int) -> None:
        self.begin, self.part = begin, text[begin:end].lower()
        self.in_a_row = _WORD.findall(self.part)

    @cached_property
    def spans(self) -> Spans:
        """Of each word in the row."""
        spans = (match.span() for match in _WORD.finditer(self.part))
        return [(self.begin + begin, self.begin + end) for begin, end in spans]

    @cached_property
    def numbers(self) -> dict[str, list[int]]:
        """Of each word, its numbers in the row."""
        numbers: dict[str, list[int]] = {}
        for number, word in enumerate(self.in_a_row):
            numbers.setdefault(word, []).append(number)
        return numbers


class Context:
    """Some words and phrases. Chinese, Japanese and Korean ones count wherever they stand in a row
    of letters, since nothing separates them from what is beside them."""

    def __init__(self, terms: Iterable[str]) -> None:
        self._unseparated = [term for term in terms if term >= "\u3000"]
        self._phrases: dict[str, list[list[str]]] = {}  # by their first words
        for phrase in (term.split() for term in terms if term < "\u3000"):
            self._phrases.setdefault(phrase[0], []).append(phrase)

    def begins_in(self, words: Words) -> bool:
        """Whether there is the first word of one, or all of it: if not, there are no `places`."""
        return not self._phrases.keys().isdisjoint(words.in_a_row) or any(
            term in words.part for term in self._unseparated
        )

    def places(self, words: Words) -> Spans:
        """Where they stand, in order."""
        found = [
            (words.spans[number][0], words.spans[number + len(phrase) - 1][1])
            for first in self._phrases.keys() & words.numbers.keys()
            for phrase in self._phrases[first]
            for number in words.numbers[first]
            if words.in_a_row[number : number + len(phrase)] == phrase
        ]
        for match in (m for term in self._unseparated for m in re.finditer(term, words.part)):
            found.append((words.begin + match.start(), words.begin + match.end()))
        return sorted(found)


def near_some(places: Spans, data: Spans) -> Spans:
    """Those of the data, in order, that are near one of the places, or near another that is: in a
    list each number stands for the word to its neighbours."""
    near = [_is_near(places, *datum) for datum in data]
    for i in range(1, len(data)):
        near[i] |= near[i - 1] and data[i][0] - data[i - 1][1] <= BEFORE
    for i in range(len(data) - 2, -1, -1):
        near[i] |= near[i + 1] and data[i + 1][0] - data[i][1] <= BEHIND
    return [datum for datum, is_near in zip(data, near, strict=True) if is_near]


def _is_near(places: Spans, begin: int, end: int) -> bool:
    first = bisect_left(places, (begin - BEFORE, 0))
    return first < len(places) and places[first][1] <= end + BEHIND
