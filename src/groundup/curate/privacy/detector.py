r"""A detector: what one kind of personal data looks like, declared in a few fields.

A datum is found in four steps, each of which sees only what passed the one before:

    cue       the scan of the text saw what every datum of the kind holds (`cues`)
    pattern   its shape
    check     its checksum, its date, its range
    context   where shape and check are not enough, one of some words stands near

Patterns are of Python's `re`, in which every repetition has a limit or cannot give back what it
took (`++`, `{2,9}+`), so that the time a text takes grows with its length and no faster.

To add a kind, write a `Detector` and put it into the table (`detectors`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Cue = Literal["at", "number", "code", "hex"]
Spans = list[tuple[int, int]]  # where parts of a text begin and end

# What neither letters nor digits continue, and no digit behind a point or a hyphen: 4111 is not
# found in 3.4111, a4111 or 17-4111. One is the mirror image of the other.
START = r"(?<![0-9A-Za-z_+])(?<![0-9][.\-])"
END = r"(?![0-9A-Za-z_]|[.\-][0-9])"
SEPARATOR = r"[ .\-\u00a0\u2011\u202f]"  # with the spaces and the hyphen that do not break a line

_PLACES = {"#": "[0-9]", " ": SEPARATOR, "(": r"\(?", ") ": rf"(?:\){SEPARATOR}?|{SEPARATOR})"}


def _anything(datum: str) -> bool:
    """No check."""
    del datum
    return True


@dataclass(frozen=True, kw_only=True)
class Detector:
    """kind: its name, from which comes its placeholder. cue: what the scan must see. pattern: of
    `re`; where it has a group called `datum`, only that is masked. check: of the datum as written.
    context: words or phrases, in lower case and without punctuation, of which one must stand near.
    example: a value of the kind that is nobody's; without one, the datum's own shape is kept.
    """

    kind: str
    cue: Cue
    pattern: str
    check: Callable[[str], bool] = _anything
    context: tuple[str, ...] = ()
    example: str | None = None

    @property
    def placeholder(self) -> str:
        """`<EMAIL>`"""
        return f"<{self.kind.upper()}>"

    def fake(self, datum: str) -> str:
        """The example, or the datum with 0 for its digits and x for its letters."""
        if self.example is not None:
            return self.example
        return re.sub("[A-Z]", "X", re.sub("[a-z]", "x", re.sub("[0-9]", "0", datum)))


def number(*shapes: str, behind: str = "") -> str:
    """The pattern of numbers that stand alone, in one of the shapes, of which the first that fits
    is taken: `#` is a digit, a space one of the separators, brackets may be there or not, anything
    else is itself. A number may also be written without any of its separators. behind: a pattern
    of what may follow."""
    grouped = ["".join(_PLACES.get(p) or re.escape(p) for p in _split(shape)) for shape in shapes]
    alone = [re.sub("[ ()]", "", shape).replace("#", "[0-9]") for shape in shapes if " " in shape]
    patterns = dict.fromkeys([*grouped, *alone])  # each once
    return f"{START}(?:{'|'.join(patterns)}){behind}{END}"


def _split(shape: str) -> list[str]:
    return re.findall(r"\) |.", shape)


def digits(datum: str) -> list[int]:
    """The digits of ASCII in it."""
    return [int(c) for c in datum if "0" <= c <= "9"]


def letters_and_digits(datum: str) -> str:
    """Without separators, in upper case."""
    return re.sub("[^0-9A-Z]", "", datum.upper())
