"""The order in which a page is read: its columns, and the lines of each.

A page is cut along white space, as Nagy and Seth do ("Hierarchical representation of optically
scanned documents", ICPR 1984), from the top down and from left to right in turn. Cutting at the
widest gap first, as they do, would cut columns in two where both begin a section at one height.
Here a row of lines after another joins those above for as long as one strip of white runs through
all of them from top to bottom; what is on its two sides is then cut in the same way.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from groundup.curate.pdf.characters import Box, Span

_SAME_ROW = 0.5  # of a line's height
_GUTTER = 0.6  # of a line's height; between the columns of articles it is 0.8 and more
_COLUMN_WIDTH = 7  # of a line's height: narrower pieces are the cells of a table
_COLUMN_ROWS = 3
_BESIDE = 0.5  # of the lower column's height, in which there is something on both sides
_NO_BLANK = 0.12  # of a line's height: pieces of one word
_CELL = 2  # of a line's height: a gap wider than this is told by a tab

Interval = tuple[float, float]


class Line(NamedTuple):
    """A line of one column."""

    text: str
    box: Box


def read_regions(spans: Sequence[Span]) -> Iterator[list[Line]]:
    """The regions of a page in the order in which they are read: a column, or what stands between
    columns, as lines from the top down."""
    if not spans:
        return
    whole = (min(span.box.left for span in spans), max(span.box.right for span in spans))
    narrowest = _GUTTER * sorted(span.box.height for span in spans)[len(spans) // 2]
    rows = _rows(spans)
    lines: list[Line] = []
    start = 0
    while start < len(rows):
        count, sides = _columns(rows[start:], whole, narrowest)
        if not sides:
            lines.append(_line(rows[start]))
        elif lines:
            yield lines
            lines = []
        for side in sides:
            yield from read_regions(side)
        start += count
    if lines:
        yield lines


def _rows(spans: Iterable[Span]) -> list[list[Span]]:
    rows: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: (span.box.middle, span.box.left)):
        first = rows[-1][0].box if rows else None
        height = min(span.box.height, first.height) if first else 0
        if first and span.box.middle - first.middle < _SAME_ROW * height:
            rows[-1].append(span)
        else:
            rows.append([span])
    return rows


def _columns(
    rows: Sequence[Sequence[Span]], whole: Interval, narrowest: float
) -> tuple[int, tuple[list[Span], ...]]:
    """How many of the rows, from the first on, two columns have in common, and the columns; or 1,
    and none."""
    free = [whole]
    gutters: list[list[Interval]] = []  # after each row
    for row in rows:
        free = [part for part in _without(free, row) if part[1] - part[0] >= narrowest]
        if not free:
            break
        gutters.append([part for part in free if part[0] > whole[0] and part[1] < whole[1]])
    tried: list[Interval] = []
    for count in range(len(gutters), 0, -1):
        for gutter in sorted(gutters[count - 1], key=lambda part: part[0] - part[1]):
            if any(gutter[0] <= part[0] and part[1] <= gutter[1] for part in tried):
                continue  # the longer run did not do
            if sides := _sides(rows[:count], gutter):
                return count, sides
            tried.append(gutter)
    return 1, ()


def _without(free: Iterable[Interval], row: Iterable[Span]) -> Iterator[Interval]:
    """The intervals, less what the row covers."""
    covered = sorted((span.box.left, span.box.right) for span in row)
    for low, high in free:
        for left, right in covered:
            if right > low and left < high:
                yield low, left
                low = max(low, right)
        yield low, high


def _sides(rows: Iterable[Sequence[Span]], gutter: Interval) -> tuple[list[Span], ...]:
    """What is left and right of the gutter, if both are columns of text; else nothing."""
    left: list[list[Span]] = []
    right: list[list[Span]] = []
    for row in rows:
        for side, spans in (
            (left, [span for span in row if span.box.right <= gutter[0]]),
            (right, [span for span in row if span.box.right > gutter[0]]),
        ):
            if spans:
                side.append(spans)
    if not (_is_column(left) and _is_column(right)):
        return ()
    top = max(side[0][0].box.top for side in (left, right))
    bottom = min(side[-1][0].box.bottom for side in (left, right))
    height = min(side[-1][0].box.bottom - side[0][0].box.top for side in (left, right))
    return ([*chain(*left)], [*chain(*right)]) if bottom - top >= _BESIDE * height else ()


def _is_column(rows: Sequence[Sequence[Span]]) -> bool:
    """Whether there are enough rows, and what is in them is mostly in pieces wide enough."""
    spans = list(chain.from_iterable(rows))
    if len(rows) < _COLUMN_ROWS:
        return False
    widths = [span.box.right - span.box.left for span in spans]
    height = sum(span.box.height for span in spans) / len(spans)
    return sum(width**2 for width in widths) >= _COLUMN_WIDTH * height * sum(widths)


def _line(row: Iterable[Span]) -> Line:
    """The pieces of a row as one line."""
    first, *others = sorted(row, key=lambda span: span.box.left)
    text, box = first
    for following, place in others:
        gap = (place.left - box.right) / max(place.height, box.height, 1e-6)
        text += ("" if gap < _NO_BLANK else " " if gap < _CELL else "\t") + following
        top, bottom = min(box.top, place.top), max(box.bottom, place.bottom)
        box = Box(box.left, top, max(box.right, place.right), bottom)
    return Line(text, box)
