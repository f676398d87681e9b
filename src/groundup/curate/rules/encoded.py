r"""Encoded data in source code: rows of base64, of hexadecimal numbers, of escaped characters.

The regular expressions, and the limits in `Code`, are those of The Stack v2 (Lozhkov et al. 2024,
arXiv:2402.19173, section 2.1).
"""

import re
from typing import NamedTuple

import regex

# each by the package that is faster at it
_ENCODED = (
    re.compile(r"[a-zA-Z0-9+/\n=]{64,}"),
    regex.compile(r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}"),
    regex.compile(r"(?:\\u[0-9a-fA-F]{4}){8,}"),
)


class Encoded(NamedTuple):
    """Characters of the longest row, and of all together."""

    longest: int
    all: int


def encoded_data(text: str) -> Encoded:
    """The encoded data of a text."""
    lengths = [len(row) for pattern in _ENCODED for row in pattern.findall(text)]
    return Encoded(max(lengths, default=0), sum(lengths))
