"""Running heads, running feet and page numbers: lines that come back at the edge of other pages.

A line is taken for one if it is among the first or last rows of its page, and stands at the same
height on other pages; a number in it may count with the pages. Rows of a table, which are alike but
for their numbers, are not taken for one.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from groundup.curate.pdf.layout import Line

_EDGE_ROWS = 3
_PAGES, _PAGES_OF_FEW, _FEW = 3, 2, 4  # on how many it must stand, and of few, and what is few
_NUMBER = re.compile(r"\d{1,9}|\b[ivxlc]+\b")
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def running_lines(pages: Sequence[Sequence[Line]]) -> list[set[Line]]:
    """Of each page, the lines that are not its own."""
    heights: dict[str, list[float]] = defaultdict(list)
    forms: list[dict[Line, set[str]]] = []
    for number, lines in enumerate(pages):
        of_page = {line: _forms(line.text, number) for line in _edges(lines)}
        forms.append(of_page)
        for line, names in of_page.items():
            for name in names:
                heights[name].append(line.box.middle)
    for places in heights.values():
        places.sort()
    least = _PAGES_OF_FEW if len(pages) <= _FEW else _PAGES

    def is_running(line: Line, names: set[str]) -> bool:
        low, high = line.box.middle - line.box.height, line.box.middle + line.box.height
        return any(
            bisect_right(heights[name], high) - bisect_left(heights[name], low) >= least
            for name in names
        )

    return [
        {line for line, names in of_page.items() if is_running(line, names)} for of_page in forms
    ]


def _edges(lines: Sequence[Line]) -> Iterator[Line]:
    """The lines of the first and last rows."""
    down = sorted(lines, key=lambda line: line.box.middle)
    for order in (down, down[::-1]):
        rows, last = 0, None
        for line in order:
            if last is None or abs(line.box.middle - last) > line.box.height / 2:
                rows += 1
                last = line.box.middle
            if rows > _EDGE_ROWS:
                break
            yield line


def _forms(text: str, page: int) -> set[str]:
    """The line as it is; and with its numbers, or one of the first or last two, as their distance
    from the page's."""

    def without(number: re.Match[str]) -> str:
        return text[: number.start()] + _distance(number, page) + text[number.end() :]

    numbers = list(_NUMBER.finditer(text))
    every = _NUMBER.sub(lambda number: _distance(number, page), text)
    return {text, every, *map(without, numbers[:2]), *map(without, numbers[-2:])}


def _distance(number: re.Match[str], page: int) -> str:
    value = int(number[0]) if number[0].isdigit() else _roman(number[0])
    return f"<{value - page}>"


def _roman(numeral: str) -> int:
    values = [_ROMAN[letter] for letter in numeral]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )
