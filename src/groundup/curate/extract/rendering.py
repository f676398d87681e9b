"""Chosen blocks of a page as text: paragraphs, lists, tables and code as they were meant."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from groundup.curate.extract.page import TAG, Page

_NONE = -1
_LONG = 200  # characters, on average, of the texts of a table that lays out a page


def render(page: Page, chosen: Sequence[bool]) -> str:
    """The blocks one after the other: a blank line between paragraphs, none between the items of a
    list, which begin with `-` or their number; a row of a table is a line, with `|` between its
    cells; code stands between ```.
    """
    pieces: list[str] = []
    places = _Places(page)
    before = _OUTSIDE
    numbers: dict[int, int] = {}  # of the items of ordered lists so far
    for block, text in enumerate(page.texts):
        if not chosen[block]:
            continue
        here = places.of(int(page.element[block]))
        if here.row >= 0 and here.row == before.row:
            pieces.append(" | " if here.cell != before.cell else " ")
        elif pieces:
            close = here.list >= 0 and here.list == before.list
            close |= here.table >= 0 and here.table == before.table
            pieces.append("\n" if close else "\n\n")
        if here.item >= 0 and here.item != before.item:
            pieces.append("  " * (here.depth - 1))
            holder = int(page.parent[here.item])
            if page.tag[holder] == TAG["ol"]:
                numbers[holder] = numbers.get(holder, 0) + 1
                pieces.append(f"{numbers[holder]}. ")
            else:
                pieces.append("- ")
        in_code = page.tag[page.element[block]] == TAG["pre"]
        pieces.append(f"```\n{text}\n```" if in_code else text)
        before = here
    return "".join(pieces)


class _Place(NamedTuple):
    """The innermost item, table, row and cell that hold something, and the outermost list; depth:
    of lists."""

    item: int = _NONE
    list: int = _NONE
    table: int = _NONE
    row: int = _NONE
    cell: int = _NONE
    depth: int = 0


_OUTSIDE = _Place()


class _Places:
    """Of the elements of a page, each looked at once."""

    def __init__(self, page: Page):
        self._page = page
        self._known = {0: _OUTSIDE}
        self._lengths = [0, *accumulate(map(len, page.texts))]  # of all texts before each

    def of(self, element: int) -> _Place:
        unknown = []
        while element not in self._known:
            unknown.append(element)
            element = int(self._page.parent[element])
        place = self._known[element]
        for inner in reversed(unknown):
            place = self._known[inner] = self._within(place, inner)
        return place

    def _within(self, place: _Place, element: int) -> _Place:
        tag = int(self._page.tag[element])
        if tag == TAG["table"]:
            if self._lays_out(element):
                return place._replace(table=_NONE, row=_NONE, cell=_NONE)
            return place._replace(table=element, row=_NONE, cell=_NONE)
        if tag == TAG["tr"] and place.table != _NONE:
            return place._replace(row=element, cell=_NONE)
        if tag in (TAG["td"], TAG["th"]) and place.row != _NONE:
            return place._replace(cell=element)
        if tag in (TAG["ul"], TAG["ol"]):
            outermost = element if place.list == _NONE else place.list
            return place._replace(list=outermost, depth=place.depth + 1)
        if tag == TAG["li"]:
            return place._replace(item=element)
        return place

    def _lays_out(self, table: int) -> bool:
        """Whether a table stands there for the page's layout: those of data hold no long texts."""
        first, last = self._page.first[table], self._page.last[table]
        return self._lengths[last] - self._lengths[first] > _LONG * max(1, last - first)
