# /// script
# requires-python = ">=3.11"
# dependencies = ["unicodedata2==16.0.0"]
# ///
"""Write src/groundup/tokenizers/unicode_classes.txt: the class of every code point.

    python scripts/unicode_classes.py

The patterns that cut text ask for general categories (Lu, Nd, …) and for White_Space. Every version
of Unicode assigns more code points, so the version is named here, and text is cut alike wherever
the library is installed.
"""

import sys
from pathlib import Path

import unicodedata2

VERSION = "16.0.0"
TARGET = Path(__file__).parents[1] / "src" / "groundup" / "tokenizers" / "unicode_classes.txt"
# PropList.txt, White_Space: a property of its own, which has not changed since Unicode 6.3
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)}
WHITE_SPACE |= {0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
CLASSES = {"Lu": "upper", "Lt": "upper", "Ll": "lower", "Lm": "caseless", "Lo": "caseless"}
CLASSES |= {
    "Mn": "mark",
    "Mc": "mark",
    "Me": "mark",
    "Nd": "number",
    "Nl": "number",
    "No": "number",
}


def class_of(point: int) -> str:
    if point in WHITE_SPACE:
        return "space"
    return CLASSES.get(unicodedata2.category(chr(point)), "other")


def main() -> None:
    if unicodedata2.unidata_version != VERSION:
        sys.exit(f"this needs unicodedata2 {VERSION}, not {unicodedata2.unidata_version}.")
    lines = [
        f"# Unicode {VERSION}: first and last code point of a run, and its class.",
        "# Code points that are not listed are of the class other.",
        "# Written by scripts/unicode_classes.py.",
    ]
    first, kind = 0, class_of(0)
    for point in range(1, 0x110001):
        now = class_of(point) if point < 0x110000 else ""
        if now != kind:
            if kind != "other":
                lines.append(f"{first:04X} {point - 1:04X} {kind}")
            first, kind = point, now
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
