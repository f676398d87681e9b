"""The classes of characters that the patterns ask for, of one named version of Unicode.

`\\p{L}` is another set in every version of Unicode, and every library brings a version of its own.
`unicode_classes.txt` is the one version that decides here, for the compiled core and for the
reference alike; `scripts/unicode_classes.py` writes it.
"""

from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("unicode_classes.txt")
_BITS = {"upper": 1, "lower": 2, "caseless": 4, "mark": 8, "number": 16, "space": 32, "other": 64}

# A character of each class that every version of Unicode has had, and that is in no pattern itself.
_STAND_INS = {
    "upper": "À",
    "lower": "à",
    "caseless": "א",
    "mark": "\u0300",
    "number": "²",
    "space": "\u00a0",
    "other": "§",
}
_BY_BIT = {_BITS[name]: stand_in for name, stand_in in _STAND_INS.items()}
_LONG_S = 0x17F  # ſ, the one character beyond ASCII that a pattern names: (?i:'s) matches 'ſ


@cache
def classes() -> bytes:
    """The class of each of the 0x110000 code points, as one bit of a byte."""
    table = bytearray([_BITS["other"]]) * 0x110000
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            first, last, name = line.split()
            start, end = int(first, 16), int(last, 16) + 1
            table[start:end] = bytes([_BITS[name]]) * (end - start)
    return bytes(table)


def stand_ins(text: str) -> str:
    """`text` with every character beyond ASCII replaced by the stand-in of its class.

    A pattern cuts it where it cuts `text`, whichever version of Unicode its engine knows.
    """
    return text if text.isascii() else text.translate(_Table())


class _Table(dict[int, str | int]):
    """What `str.translate` asks, character by character."""

    def __missing__(self, point: int) -> str | int:
        plain = point < 0x80 or point == _LONG_S
        self[point] = answer = point if plain else _BY_BIT[classes()[point]]
        return answer
