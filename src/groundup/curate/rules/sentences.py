"""Where sentences end, as far as rules need to know: it is enough to count them.

A sentence ends where a line does, and at `.`, `!`, `?` or `…`, with the quotation marks and
brackets that it closes, before white space and what is no lower-case letter of ASCII; but not at
the point of an English title or of an initial (`Mr.`, `J.`). The marks of Chinese and Japanese
need no white space after them.
"""

import re

CLOSING = "\"'”’»)]』」"  # may stand behind the mark that ends a sentence

# The marks of scripts in use today, of those that Unicode calls Sentence_Terminal; and …
TERMINAL = frozenset(".!?…‼‽⁇⁈⁉։؟۔।॥။៕።፧᠃᠉。！？．｡﹖﹗")

_END = re.compile(
    r"""[.!?…](?<![.!?…].)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\b[A-Z]\.)"""
    r"""[.!?…]*+["'”’»)\]]*+\s++(?![a-z])"""
)
_EAST_ASIAN_END = re.compile(r"[。！？]++[”』」]*+(?=.)")


def count_sentences(line: str) -> int:
    """Of a line: those that end within it, and the one that ends with it."""
    if not line:
        return 0
    east_asian = [] if line.isascii() else _EAST_ASIAN_END.findall(line)
    return len(_END.findall(line)) + len(east_asian) + 1


def is_ended(line: str) -> bool:
    """Whether the line ends as a sentence does."""
    return line.rstrip(CLOSING)[-1:] in TERMINAL
