"""Paragraphs of lines.

A line ends because the next word did not fit any more, or because its author ended it: at the end
of a paragraph, of a verse, of an item. The two are told apart by asking whether the first word of
the next line would have fitted. A paragraph also begins behind a gap, with an indented line, and
with letters of another size; one that a column or a page cuts in two is put together.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from groundup.curate.pdf.hyphens import Words, first_word, is_divided
from groundup.curate.pdf.layout import Line

_GAP = 1.25  # of the usual distance between lines
_SIZE = 1.12  # of a line's height: other letters
_INDENT, _CENTRED, _FLUSH, _ROOM = 0.5, 0.3, 0.3, 1  # of a line's height
_BULLETS = "•◦▪‣●○■□▶►–*"
_SENTENCE_END = re.compile(r"[.!?:…。！？｡؟।][\"'”’»›)\]]*$")
# The dots between a title and its page; they are drawn, and become a tab.
_LEADERS = re.compile(r"(?: ?[.·…_]){4,} ?")

Begins = Literal["line", "block", "region"]
Ends = Literal["line", "part", "paragraph"]


class _Placed(NamedTuple):
    """A line, and what begins with it.

    edge: where lines end that are full. centred: whether the block's lines are.
    """

    line: Line
    begins: Begins
    edge: float
    centred: bool


def join_lines(regions: Sequence[Sequence[Line]]) -> str:
    """The text of a document's regions in the order of reading, a blank line between paragraphs."""
    paragraphs = list(_paragraphs(_placed(regions)))
    words = Words(part for paragraph in paragraphs for part in paragraph)
    return "\n\n".join("\n".join(map(words.joined, paragraph)) for paragraph in paragraphs)


def _placed(regions: Sequence[Sequence[Line]]) -> Iterator[_Placed]:
    """Regions are cut into blocks at gaps, and where the size of the letters changes."""
    usual = _usual_distance(regions)
    for region in regions:
        blocks: list[list[Line]] = []
        for line in region:
            line = Line(_LEADERS.sub("\t", line.text), line.box)
            if not line.text.strip():
                continue
            above = blocks[-1][-1] if blocks else None
            if above and _alike(above, line) and _distance(above, line) <= _GAP * usual:
                blocks[-1].append(line)
            else:
                blocks.append([line])
        begins: Begins = "region"
        margin = max(line.box.right for line in region)
        for block in blocks:
            edge = _edge(block) or margin
            centred = _is_centred(block)
            for line in block:
                yield _Placed(line, begins, edge, centred)
                begins = "line"
            begins = "block"


def _usual_distance(regions: Iterable[Sequence[Line]]) -> float:
    """From one line to the next, as a share of their height: the median."""
    distances = sorted(
        _distance(above, line)
        for region in regions
        for above, line in pairwise(region)
        if _alike(above, line)
    )
    return distances[len(distances) // 2] if distances else 1


def _distance(above: Line, line: Line) -> float:
    return (line.box.middle - above.box.middle) / max(above.box.height, line.box.height, 1e-6)


def _alike(one: Line, other: Line) -> bool:
    """Whether lines are of the same size."""
    low, high = sorted((one.box.height, other.box.height))
    return high <= _SIZE * low


def _edge(block: Sequence[Line]) -> float | None:
    """Where the longest line of a block ends, if another one ends there, too."""
    *_, second, longest = [0.0, *sorted(line.box.right for line in block)]
    return longest if longest - second < _FLUSH * block[0].box.height else None


def _is_centred(block: Sequence[Line]) -> bool:
    middles = [(line.box.left + line.box.right) / 2 for line in block]
    lefts = [line.box.left for line in block]
    height = block[0].box.height
    spread = max(middles) - min(middles)
    return spread < _CENTRED * height and max(lefts) - min(lefts) > _INDENT * height


def _paragraphs(lines: Iterable[_Placed]) -> Iterator[list[list[str]]]:
    """Paragraphs of parts of lines: parts begin a line each, lines of a part run on."""
    paragraph: list[list[str]] = []
    above: _Placed | None = None
    is_first = True  # whether the line above is the first of its paragraph
    for placed in lines:
        ends = _ends(above, placed, is_first) if above else "paragraph"
        if ends == "paragraph" and paragraph:
            yield paragraph
            paragraph = []
        if ends == "line":
            paragraph[-1].append(placed.line.text)
        else:
            paragraph.append([placed.line.text])
        above, is_first = placed, ends != "line"
    if paragraph:
        yield paragraph


def _ends(above: _Placed, placed: _Placed, is_first: bool) -> Ends:
    """What ends with the line above, the first of its paragraph or not."""
    a, b = above.line, placed.line
    if placed.begins == "block":
        return "paragraph"
    if placed.begins == "region":
        return (
            "line"
            if _alike(a, b) and _goes_on(a.text, b.text) and _is_full(above, b)
            else "paragraph"
        )
    if is_divided(a.text, b.text):
        return "line"
    if "\t" in a.text or "\t" in b.text or b.text[0] in _BULLETS or placed.centred:
        return "part"
    indent = (b.box.left - a.box.left) / max(a.box.height, 1e-6)
    if indent > _INDENT and (not _is_full(above, b) or _SENTENCE_END.search(a.text)):
        return "paragraph"
    if not _is_full(above, b) or (indent < -_INDENT and not is_first):
        return "part"
    return "line"


def _goes_on(text: str, following: str) -> bool:
    """Whether a sentence goes on in the text that follows."""
    if is_divided(text, following):
        return True
    begins_low = following[0].isalpha() and not following[0].isupper()
    return begins_low and not _SENTENCE_END.search(text)


def _is_full(above: _Placed, line: Line) -> bool:
    """Whether the first word of the line did not fit on the one above."""
    word = first_word(line.text)
    width = len(word) / len(line.text) * (line.box.right - line.box.left)
    room = above.edge - above.line.box.right
    return room < width + _ROOM * line.box.height
