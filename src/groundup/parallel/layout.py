"""Who of N processes holds what of some parameters, where each holds only a share.

A parameter is cut along its first axis, wherever that makes the shares equal; but a matrix whose
update needs all of it (Muon's, SOAP's) stays whole. So whole ones are given out first, largest
first, each to the process that has least (Graham 1969, "Bounds on multiprocessing timing
anomalies": at worst 4/3 of the best), and the others fill the shares up. Then any optimizer can
work on a share as it would on all.

What the processes exchange is one array of N sections, a share each. Where a little padding makes
them equally long, they are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

# A cut leaves at least so many rows on each side: a matrix stays one to look at.
_FEWEST_ROWS = 2
_MOST_PADDING = 0.02  # of what is sent


class Part(NamedTuple):
    """Rows `first` up to `last` of a parameter: elements `at` up to `end` of a section."""

    name: str
    first: int
    last: int
    at: int
    end: int

    def of(self, tensor: Tensor) -> Tensor:
        """The rows of the parameter, or of a tensor of its shape; a view."""
        return tensor[self.first : self.last]


@dataclass(frozen=True)
class Layout:
    """sections: the parts of each process's share. lengths: elements of each, padding too."""

    sections: tuple[tuple[Part, ...], ...]
    lengths: tuple[int, ...]

    @property
    def held(self) -> tuple[int, ...]:
        """Elements of each section's parts."""
        return tuple(parts[-1].end if parts else 0 for parts in self.sections)


def arrange(
    shapes: Mapping[str, Sequence[int]],
    whole: Mapping[str, bool],
    before: Sequence[int],
) -> Layout:
    """A layout of parameters over processes. shapes: by name, each with at least one axis.

    whole: whether a parameter may not be cut. before: elements that each process has already, of
    other layouts; all together are to be equal.
    """
    n = len(before)
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    shares: list[list[Part]] = [[] for _ in range(n)]
    filled = [0] * n

    def put(section: int, name: str, first: int, last: int) -> None:
        at = filled[section]
        filled[section] += sizes[name] // shapes[name][0] * (last - first)
        shares[section].append(Part(name, first, last, at, filled[section]))

    def has(section: int) -> int:
        return before[section] + filled[section]

    uncut = [name for name in shapes if whole[name]]
    for name in sorted(uncut, key=lambda name: -sizes[name]):
        put(min(range(n), key=has), name, 0, shapes[name][0])
    # The others go to those that have less than an equal share, the last of which takes what is
    # left of rounding.
    level = _level(
        [has(section) for section in range(n)], sum(sizes[k] for k in shapes if not whole[k])
    )
    lower = [section for section in range(n) if has(section) < level] or [0]
    places = iter(lower)
    section = next(places)
    for name in (name for name in shapes if not whole[name]):
        first, rows = 0, shapes[name][0]
        while first < rows:
            room = int((level - has(section)) * rows // max(1, sizes[name]))
            count = rows - first if section == lower[-1] else _cut(rows - first, room)
            if count:
                put(section, name, first, first + count)
                first += count
            if first < rows:
                section = next(places)
    longest, total = max(filled), sum(filled)
    even = n * longest <= (1 + _MOST_PADDING) * total
    return Layout(tuple(map(tuple, shares)), (longest,) * n if even else tuple(filled))


def _level(has: Sequence[int], more: int) -> float:
    """How high vessels with so much in them stand when so much more is poured in."""
    lowest = sorted(has)
    for count in range(1, len(lowest) + 1):
        level = (sum(lowest[:count]) + more) / count
        if count == len(lowest) or level <= lowest[count]:
            return level
    raise AssertionError("the last vessel takes everything")


def _cut(rows: int, room: int) -> int:
    """How many of the rows that are left go where so many have room."""
    if room >= rows:
        return rows
    count = min(room, rows - _FEWEST_ROWS)
    return count if count >= _FEWEST_ROWS else 0
