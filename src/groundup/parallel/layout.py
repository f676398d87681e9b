"""Who of N processes holds what of some parameters, where each holds only a share.

A parameter is cut along its first axis, wherever that makes the shares equal; but a matrix whose
update needs all of it (Muon's, SOAP's) stays whole. So whole ones are given out first, largest
first, each to the process that has least (Graham 1969, "Bounds on multiprocessing timing
anomalies": at worst 4/3 of the best), and the others fill the shares up. Then any optimizer can
work on a share as it would on all.

What the processes exchange is one array of N sections, a share each, equally long: the shorter ones
end in padding.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

# A cut leaves at least so many rows on each side: a matrix stays one to look at.
_FEWEST_ROWS = 2


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
    """sections: the parts of each process's share. length: elements of a section, padding too."""

    sections: tuple[tuple[Part, ...], ...]
    length: int

    @property
    def padding(self) -> int:
        """Elements of all sections together that hold nothing."""
        return sum(self.length - sum(p.end - p.at for p in parts) for parts in self.sections)


def arrange(shapes: Mapping[str, Sequence[int]], whole: Mapping[str, bool], n: int) -> Layout:
    """A layout of parameters over n processes. shapes: by name, each with at least one axis.

    whole: whether a parameter may not be cut.
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    shares: list[list[Part]] = [[] for _ in range(n)]
    filled = [0] * n

    def put(section: int, name: str, first: int, last: int) -> None:
        at = filled[section]
        filled[section] += sizes[name] // shapes[name][0] * (last - first)
        shares[section].append(Part(name, first, last, at, filled[section]))

    uncut = [name for name in shapes if whole[name]]
    for name in sorted(uncut, key=lambda name: -sizes[name]):
        put(filled.index(min(filled)), name, 0, shapes[name][0])
    length = max(*filled, math.ceil(sum(sizes.values()) / n))
    section = 0
    for name in (name for name in shapes if not whole[name]):
        first, rows = 0, shapes[name][0]
        while first < rows:
            last_section = section == n - 1
            room = (length - filled[section]) * rows // max(1, sizes[name])
            count = rows - first if last_section else _cut(rows - first, room)
            if count:
                put(section, name, first, first + count)
                first += count
            if first < rows:
                section += 1
    return Layout(tuple(map(tuple, shares)), max(filled))


def _cut(rows: int, room: int) -> int:
    """How many of the rows that are left go where so many have room."""
    if room >= rows:
        return rows
    count = min(room, rows - _FEWEST_ROWS)
    return count if count >= _FEWEST_ROWS else 0
