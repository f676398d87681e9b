"""Sets of characters, and their bytes in UTF-8."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from groundup.infer.grammar.expression import Expression, byte_range, concat, either

LAST = 0x10FFFF
_SURROGATES = 0xD800, 0xDFFF
_LONGEST = (0x7F, 0x7FF, 0xFFFF, LAST)  # the last character of one, two, three and four bytes


@dataclass(frozen=True)
class Characters:
    """ranges: of code points, ends included, in order and apart from each other."""

    ranges: tuple[tuple[int, int], ...]

    def __or__(self, other: "Characters") -> "Characters":
        return characters([*self.ranges, *other.ranges])

    def __and__(self, other: "Characters") -> "Characters":
        return (self.others | other.others).others

    @property
    def others(self) -> "Characters":
        """All characters that are not among them. Surrogates are no characters."""
        found, begin = [], 0
        for first, last in characters([*self.ranges, _SURROGATES]).ranges:
            if first > begin:
                found.append((begin, first - 1))
            begin = last + 1
        if begin <= LAST:
            found.append((begin, LAST))
        return Characters(tuple(found))

    @cached_property
    def utf8(self) -> Expression:
        """One of them."""
        return either(
            concat(*(byte_range(*pair) for pair in pairs))
            for first, last in self.ranges
            for pairs in utf8_ranges(first, last)
        )


def characters(ranges: Iterable[tuple[int, int]]) -> Characters:
    """A set of ranges in any order."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return Characters(tuple(merged))


def of(text: str) -> Characters:
    """The characters of a text."""
    return characters((ord(c), ord(c)) for c in text)


def utf8_ranges(first: int, last: int) -> Iterator[list[tuple[int, int]]]:
    """The bytes of characters from the first to the last, which are no surrogates: each way is a
    range for every byte (as in Thompson's grep for Plan 9; Pike and Thompson 1993)."""
    for longest in _LONGEST:
        if first <= longest < last:
            yield from utf8_ranges(first, longest)
            yield from utf8_ranges(longest + 1, last)
            return
    low, high = chr(first).encode(), chr(last).encode()
    for bits in range(6, 6 * len(low), 6):  # a byte may take all values only if those after it do
        rest = (1 << bits) - 1
        if first | rest >= last | rest:
            break
        if first & rest:
            yield from utf8_ranges(first, first | rest)
            yield from utf8_ranges((first | rest) + 1, last)
            return
        if last & rest != rest:
            yield from utf8_ranges(first, (last & ~rest) - 1)
            yield from utf8_ranges(last & ~rest, last)
            return
    yield list(zip(low, high, strict=True))


ALL = Characters(()).others
