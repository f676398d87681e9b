"""Chosen blocks of a page as text: paragraphs, lists, tables and code as they were meant."""

from collections.abc import Sequence

from groundup.curate.extract.page import TAG, Page

_CELLS, _ITEMS, _LISTS = (TAG["td"], TAG["th"]), (TAG["li"],), (TAG["ul"], TAG["ol"])


def render(page: Page, chosen: Sequence[bool]) -> str:
    """The blocks one after the other: a blank line between paragraphs, none between the items of a
    list, which begin with `-` or their number; a row of a table is a line, with `|` between its
    cells; code stands between ```.
    """
    pieces: list[str] = []
    before = _Place()
    numbers: dict[int, int] = {}  # of the items of ordered lists so far
    for block, text in enumerate(page.texts):
        if not chosen[block]:
            continue
        here = _place(page, block)
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


class _Place:
    """The innermost elements of some kinds that hold a block; −1: none. depth: of lists."""

    def __init__(self) -> None:
        self.item = self.list = self.cell = self.row = self.table = -1
        self.depth = 0


def _place(page: Page, block: int) -> _Place:
    place = _Place()
    element = int(page.element[block])
    outermost = -1
    while element > 0:
        tag = page.tag[element]
        if tag in _CELLS and place.cell < 0:
            place.cell = element
        elif tag == TAG["tr"] and place.row < 0:
            place.row = element
        elif tag == TAG["table"] and place.table < 0:
            place.table = element
        elif tag in _ITEMS and place.item < 0:
            place.item = element
        elif tag in _LISTS:
            place.depth += 1
            outermost = element
        element = int(page.parent[element])
    place.list = outermost
    if _is_layout(page, place.table):
        place.row = place.cell = place.table = -1
    return place


def _is_layout(page: Page, table: int) -> bool:
    """Whether a table lays out a page, instead of showing data: it holds long texts, as tables of
    data do not."""
    if table < 0:
        return False
    texts = page.texts[page.first[table] : page.last[table]]
    return sum(map(len, texts)) > 200 * max(1, len(texts))
