"""Unicode's normal forms, in a time that grows with the text alone."""

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby
from typing import Literal

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

_LONG = 64


def normal_form(form: Form, text: str) -> str:
    """The same as `unicodedata.normalize`, which puts combining marks in order by insertion: a run
    of half a million of them would take it minutes. Sorted before, they are in order."""
    if text.isascii():
        return text
    if len(text) >= _LONG:
        text = _long_runs().sub(_in_order, text)
    return unicodedata.normalize(form, text)


def _in_order(run: re.Match[str]) -> str:
    """Marks by their class; those of one class stay as they are (Unicode, D109)."""
    return "".join(sorted(run[0], key=unicodedata.combining))


@cache
def _long_runs() -> re.Pattern[str]:
    marks = [code for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))]
    ranges = []
    for _, run in groupby(enumerate(marks), key=lambda pair: pair[1] - pair[0]):
        codes = [code for _, code in run]
        ranges.append(f"{chr(codes[0])}-{chr(codes[-1])}")
    return re.compile(f"[{''.join(ranges)}]{{{_LONG},}}")
