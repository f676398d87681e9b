"""The script that a character is written in, roughly: by the blocks of Unicode (Blocks.txt)."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from groundup.tokenizers.unicode import classes

SCRIPTS = (
    "Latin",
    "Greek",
    "Cyrillic",
    "Arabic",
    "CJK",  # Chinese, Japanese and Korean
    "other letters",
    "digits",  # numbers of every script
    "spaces and signs",
)
_BLOCKS = {
    "Latin": [
        (0x41, 0x2AF),
        (0x1D00, 0x1DBF),
        (0x1E00, 0x1EFF),
        (0x2183, 0x2184),
        (0x2C60, 0x2C7F),
        (0xA720, 0xA7FF),
        (0xAB30, 0xAB6F),
        (0xFB00, 0xFB06),
        (0xFF21, 0xFF5A),
    ],
    "Greek": [(0x370, 0x3FF), (0x1F00, 0x1FFF)],
    "Cyrillic": [(0x400, 0x52F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)],
    "Arabic": [(0x600, 0x6FF), (0x750, 0x77F), (0x870, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFF)],
    "CJK": [
        (0x1100, 0x11FF),
        (0x2E80, 0x318F),
        (0x31A0, 0x9FFF),
        (0xA960, 0xA97F),
        (0xAC00, 0xD7FF),
        (0xF900, 0xFAFF),
        (0xFF66, 0xFFDC),
        (0x1AFF0, 0x1B16F),
        (0x20000, 0x3347F),
    ],
}
_LETTER, _NUMBER = 1 | 2 | 4 | 8, 16  # bits of `classes`; marks count as letters


def scripts_of(text: str) -> NDArray[np.uint8]:
    """The script of each character, as its place in `SCRIPTS` [characters]."""
    return _table()[code_points(text)]


def code_points(text: str) -> NDArray[np.uint32]:
    """[characters]. Raises `UnicodeEncodeError` for a lone surrogate."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


@cache
def _table() -> NDArray[np.uint8]:
    """By code point."""
    kinds = np.frombuffer(classes(), dtype=np.uint8)
    letters = np.full(len(kinds), SCRIPTS.index("other letters"), dtype=np.uint8)
    for script, blocks in _BLOCKS.items():
        for first, last in blocks:
            letters[first : last + 1] = SCRIPTS.index(script)
    table = np.full(len(kinds), SCRIPTS.index("spaces and signs"), dtype=np.uint8)
    table[kinds & _LETTER > 0] = letters[kinds & _LETTER > 0]
    table[kinds & _NUMBER > 0] = SCRIPTS.index("digits")
    return table
