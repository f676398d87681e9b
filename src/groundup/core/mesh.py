"""The processes of a run as the cells of a box, whose axes are the ways in which they differ.

    pipeline    which blocks of the model a process has
    replica     which rows of a batch it reads (with `expert`)
    expert      the same; and which experts it has
    context     which positions of a row it reads
    tensor      which part of every matrix it has

Neighbours along the last axis have neighbouring ranks, so that those that talk most share a
machine.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Literal

from groundup.core.processes import ONE, Group

Axis = Literal["pipeline", "replica", "expert", "context", "tensor"]

AXES: tuple[Axis, ...] = ("pipeline", "replica", "expert", "context", "tensor")
DATA: tuple[Axis, ...] = ("replica", "expert")  # those that read different rows
# Whose gradients are summed: of what all have, of parts of it, of experts, of parts of experts; and
# what all stages of a pipeline have.
_SUMS: tuple[tuple[Axis, ...], ...] = (
    ("pipeline", *DATA, "context", "tensor"),
    ("pipeline", *DATA, "context"),
    (*DATA, "context", "tensor"),
    (*DATA, "context"),
    ("replica", "context", "tensor"),
    ("replica", "context"),
)


class Mesh:
    """sizes: of the axes; those that are missing are 1. world: all processes, each of which makes
    one at the same time.

    place: where this process is along each axis.
    """

    def __init__(self, world: Group, sizes: Mapping[Axis, int]):
        self.world = world
        self.sizes: dict[Axis, int] = {axis: sizes.get(axis, 1) for axis in AXES}
        if math.prod(self.sizes.values()) != world.size:
            shape = " × ".join(f"{size} {axis}" for axis, size in self.sizes.items() if size > 1)
            raise ValueError(f"a mesh of {shape or 1} is not one of {world.size} processes")
        rest, self.place = world.rank, dict[Axis, int]()
        for axis in reversed(AXES):
            rest, self.place[axis] = divmod(rest, self.sizes[axis])
        self._groups: dict[tuple[int, ...], Group] = {}
        # All processes make their groups in one order: each waits for its members.
        each: list[tuple[Axis, ...]] = [(axis,) for axis in AXES]
        for axes in (*_SUMS, *each, DATA):
            self._make(axes)
        stages = self._ranks(("pipeline",), ends=False)
        self.back = world.part(stages, "back", twin=True)  # the pipeline's, a second time
        if self.place["pipeline"] in (0, self.sizes["pipeline"] - 1):
            for axes in _SUMS:
                if "pipeline" not in axes:
                    self._make(axes, ends=True)

    def over(self, *axes: Axis, ends: bool = False) -> Group:
        """The processes that differ from this one in these axes alone.

        ends: and in that they are in the pipeline's first or last stage, as this one is.
        """
        return self._groups[self._ranks(axes, ends=ends)]

    @property
    def rows(self) -> Group:
        """The processes that read different rows, one for each."""
        return self.over(*DATA)

    def _ranks(self, axes: Sequence[Axis], *, ends: bool) -> tuple[int, ...]:
        last = self.sizes["pipeline"] - 1
        ranges = {axis: range(self.sizes[axis]) for axis in axes}
        if ends:
            ranges["pipeline"] = range(0, last + 1, last or 1)
        cells = itertools.product(*(ranges.get(axis, [self.place[axis]]) for axis in AXES))
        return tuple(map(self._rank, cells))

    def _make(self, axes: tuple[Axis, ...], *, ends: bool = False) -> None:
        ranks = self._ranks(axes, ends=ends)
        if ranks not in self._groups:
            name = " ".join(axes) + " ends" * ends
            self._groups[ranks] = self.world.part(ranks, name)

    def _rank(self, cell: tuple[int, ...]) -> int:
        rank = 0
        for axis, at in zip(AXES, cell, strict=True):
            rank = rank * self.sizes[axis] + at
        return rank


ONE_CELL = Mesh(ONE, {})
