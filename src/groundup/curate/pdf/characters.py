"""The characters of a page, as pieces of lines with their places.

A page says which glyph stands where, in any order. PDFium names the characters in the order in
which they were drawn, puts blanks where glyphs are apart, and begins a line where the next glyph
is on another one. Its lines are cut here wherever there is a gap, as there is between columns.
"""

import ctypes
import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_GAP = 0.6  # of a character's height: wider than between words, narrower than between columns
_SHIFT = 0.6  # of a character's height: further up or down than a superscript
_FAR = 1e6  # points; no page is as large, but a damaged one may say so
_HYPHEN = 2  # how PDFium gives a hyphen at the end of a line
# Codes above 32 that are controls, blanks, or no characters.
_INVISIBLE = [*range(127, 161), 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F]
_INVISIBLE += [0x3000, 0xFFFE, 0xFFFF]
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl"}
# A glyph of which the file does not say what character it is has the code 0.
_LETTERS = {0: "\ufffd", _HYPHEN: "-", 0xFB05: "st", 0xFB06: "st"} | _LIGATURES

_DIRECTIONS = ("right", "left", "up", "down")
# Where boxes [left, top, right, bottom] with y upwards have what would be left, top, right and
# bottom with y downwards, if lines ran to the right; and the signs of these.
_TURNED = {
    "right": ([0, 1, 2, 3], [1, -1, 1, -1]),
    "left": ([2, 1, 0, 3], [-1, -1, -1, -1]),
    "upside down": ([2, 3, 0, 1], [-1, 1, -1, 1]),
    "up": ([3, 0, 1, 2], [1, 1, 1, 1]),
    "down": ([1, 2, 3, 0], [-1, -1, -1, -1]),
}


class Box(NamedTuple):
    """Where something stands, as one reads: from left to right, and from the top down."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


class Span(NamedTuple):
    """A piece of a line without a gap in it."""

    text: str
    box: Box


class _Glyphs(NamedTuple):
    """The visible characters of a page, N of them.

    texts: of each, after a blank where there is one. boxes: [N, 4], left, top, right and bottom,
    y upwards. lines: [N], a number for each line, as PDFium sees them. upside_down: whether the
    characters are.
    """

    texts: list[str]
    boxes: NDArray[np.float32]
    lines: NDArray[np.intp]
    upside_down: bool


def read_spans(page: Any) -> tuple[list[Span], list[str]]:
    """What a page says in the direction in which most of it runs; and the lines that run across it,
    such as a stamp on the margin.

    page: a `PdfTextPage` of pypdfium2. Pages may be turned, and lines run from right to left or,
    in Japanese, downwards: places are told as if they ran from left to right.
    """
    glyphs = _read_glyphs(page)
    if not glyphs.texts:
        return [], []
    starts = np.flatnonzero(np.diff(glyphs.lines, prepend=-1))
    counts = np.diff(starts, append=len(glyphs.lines))
    steps = _steps(glyphs, counts)
    direction = _DIRECTIONS[steps.sum(axis=0).argmax()]
    upright = steps.argmax(axis=1) >= 2
    is_across = (upright != (direction in ("up", "down"))) & (counts > 2)
    across = [
        _joined(glyphs.texts[start : start + count])
        for start, count in zip(starts[is_across], counts[is_across], strict=True)
    ]
    if direction == "left" and glyphs.upside_down:
        direction = "upside down"
    along = ~np.repeat(is_across, counts)
    texts = [text for text, taken in zip(glyphs.texts, along.tolist(), strict=True) if taken]
    return _spans(texts, glyphs.boxes[along], glyphs.lines[along], direction), across


def _read_glyphs(page: Any) -> _Glyphs:
    from pypdfium2 import raw

    handle, code_of, box_of = page.raw, raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox
    codes = np.array([code_of(handle, i) for i in range(page.count_chars())], dtype=np.uint32)
    visible = ((codes > 32) & ~np.isin(codes, _INVISIBLE)) | np.isin(codes, (0, _HYPHEN))
    ends = np.isin(codes, (10, 13)) | (codes == _HYPHEN)
    places = np.flatnonzero(visible)
    lines = np.cumsum(ends)[places] - (codes[places] == _HYPHEN)
    after_blank = (np.diff(places, prepend=-1) > 1) & (np.diff(lines, prepend=-1) == 0)
    texts = [
        (" " if blank else "") + (_LETTERS.get(code) or chr(code))
        for code, blank in zip(codes[places].tolist(), after_blank.tolist(), strict=True)
    ]
    rectangle = raw.FS_RECTF()
    reference = ctypes.byref(rectangle)
    boxes = bytearray()
    for place in places.tolist():
        box_of(handle, place, reference)
        boxes += rectangle
    corners = np.nan_to_num(np.frombuffer(boxes, dtype=np.float32)).clip(-_FAR, _FAR)
    angle = raw.FPDFText_GetCharAngle(handle, int(places[len(places) // 2])) if texts else 0
    return _Glyphs(texts, corners.reshape(-1, 4), lines, math.cos(angle) < -0.5)


def _steps(glyphs: _Glyphs, counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """[lines, 4]: how many steps from one character to the next of a line go in each direction.

    counts: [lines], of characters.
    """
    right, up = np.diff(glyphs.boxes, axis=0)[:, [0, 3]].T
    sideways = np.abs(right) >= np.abs(up)
    kinds = np.where(sideways, np.where(right >= 0, 0, 1), np.where(up > 0, 2, 3))
    lines = np.repeat(np.arange(len(counts)), counts)
    within = lines[1:] == lines[:-1]
    flat = np.bincount(lines[1:][within] * 4 + kinds[within], minlength=4 * len(counts))
    return flat.reshape(-1, 4)


def _spans(
    texts: list[str], boxes: NDArray[np.float32], lines: NDArray[np.intp], direction: str
) -> list[Span]:
    columns, signs = _TURNED[direction]
    boxes = boxes[:, columns] * np.array(signs, dtype=np.float32)
    left, top, right, bottom = boxes.T
    size = np.maximum((bottom - top)[1:], (bottom - top)[:-1])
    gap = np.maximum(left[1:] - right[:-1], left[:-1] - right[1:])
    shift = np.abs(np.diff(top + bottom)) / 2
    cut = (np.diff(lines) != 0) | (gap > _GAP * size) | (shift > _SHIFT * size)
    starts = np.concatenate([[0], np.flatnonzero(cut) + 1])
    counts = np.diff(starts, append=len(texts))
    places = np.stack(
        [
            np.minimum.reduceat(left, starts),
            np.add.reduceat(top, starts) / counts,
            np.maximum.reduceat(right, starts),
            np.add.reduceat(bottom, starts) / counts,
        ],
        axis=1,
    )
    pieces = pairwise([*starts.tolist(), len(texts)])
    return [
        Span(_joined(texts[start:end]), Box(*place))
        for (start, end), place in zip(pieces, places.tolist(), strict=True)
    ]


def _joined(texts: list[str]) -> str:
    text = "".join(texts).strip()
    if any("\ud800" <= character <= "\udfff" for character in text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
