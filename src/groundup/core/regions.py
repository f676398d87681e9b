"""Names for boxes of a tensor, such as processes hold of what is too large for one.

weight              all of it
weight[0:4]         rows 0 to 3
weight[:,8:16]      columns 8 to 15
"""

import re
from typing import NamedTuple

_BOX = re.compile(r"(.*)\[([\d:,]+)\]")

Range = tuple[int, int] | None  # first and last of an axis; None for all of it


class Region(NamedTuple):
    """A box of the tensor `name`. ranges: of its first axes; the others are whole."""

    name: str
    ranges: tuple[Range, ...] = ()

    @classmethod
    def parse(cls, key: str) -> "Region":
        match = _BOX.fullmatch(key)
        if match is None:
            return cls(key)
        return cls(match[1], tuple(map(_range, match[2].split(","))))

    @property
    def key(self) -> str:
        """Its name, which `parse` reads."""
        if not self.ranges:
            return self.name
        box = ",".join(":" if r is None else f"{r[0]}:{r[1]}" for r in self.ranges)
        return f"{self.name}[{box}]"

    def begin(self, axis: int) -> int:
        """Where it begins in the whole tensor."""
        known = self.ranges[axis] if axis < len(self.ranges) else None
        return known[0] if known else 0

    def cut(self, axis: int, first: int, last: int, size: int) -> "Region":
        """Of what this region holds, `first` up to `last` of the `size` along an axis."""
        if (first, last) == (0, size):
            return self
        ranges = [*self.ranges, *[None] * (axis + 1 - len(self.ranges))]
        begin = self.begin(axis)
        ranges[axis] = begin + first, begin + last
        return Region(self.name, tuple(ranges))

    def uncut(self, axis: int) -> "Region":
        """The same, whole along an axis."""
        ranges = [None if at == axis else known for at, known in enumerate(self.ranges)]
        while ranges and ranges[-1] is None:
            ranges.pop()
        return Region(self.name, tuple(ranges))


def bounds(size: int, parts: int, index: int) -> tuple[int, int]:
    """First and last of part `index`, where `size` things are cut into parts as equal as can be."""
    return size * index // parts, size * (index + 1) // parts


def lengths(size: int, parts: int) -> list[int]:
    """Of all parts."""
    return [last - first for first, last in (bounds(size, parts, i) for i in range(parts))]


def _range(text: str) -> Range:
    first, _, last = text.partition(":")
    return (int(first), int(last)) if first else None
