"""Cut text into pieces by a pattern: the readable reference of the compiled splitters."""

from collections.abc import Callable, Iterable, Iterator

import regex

from groundup.core.errors import InputError
from groundup.tokenizers.patterns import CHARACTER, PATTERNS
from groundup.tokenizers.unicode import stand_ins

Cutter = Callable[[str], Iterable[str]]
Pattern = str | tuple[str, ...]


def cutter(pattern: Pattern) -> Cutter:
    """The function that cuts text into pieces, which are all of the text in order.

    pattern: `CHARACTER`, a name in `PATTERNS`, or a regular expression of the `regex` package. Of
    several expressions in a tuple, each cuts the pieces of those before it, and what lies between
    its matches is a piece too.

    Raises `InputError` for an unknown name, and an expression that is wrong. The cutter raises it
    for a text of which the expression leaves something out.
    """
    if isinstance(pattern, tuple):
        return _SequenceCutter([_compiled(expression) for expression in pattern])
    if pattern == CHARACTER:
        return iter
    if pattern in PATTERNS:
        return _PublishedCutter(PATTERNS[pattern])
    if regex.fullmatch(r"[\w-]*", pattern):  # no expression of letters alone covers a text
        raise InputError(
            f"there is no pattern {pattern!r}: choose one of {[CHARACTER, *PATTERNS]}, or write a "
            "regular expression."
        )
    return _OwnCutter(_compiled(pattern))


def _compiled(expression: str) -> regex.Pattern[str]:
    try:
        return regex.compile(expression)
    except regex.error as error:
        raise InputError(
            f"the pattern {expression!r} is no regular expression ({error})."
        ) from error


class _PublishedCutter:
    """Cuts as one of the published patterns, by the Unicode tables of this package."""

    def __init__(self, expression: str):
        self._find = regex.compile(expression).finditer

    def __call__(self, text: str) -> Iterator[str]:
        for match in self._find(stand_ins(text)):
            yield text[match.start() : match.end()]


class _OwnCutter:
    """Cuts by a user's expression, and sees to it that nothing of the text is lost."""

    def __init__(self, compiled: regex.Pattern[str]):
        self._compiled = compiled

    def __call__(self, text: str) -> Iterator[str]:
        end = 0
        for match in self._compiled.finditer(text):
            if match.start() != end:
                break
            if match.end() > end:
                yield match[0]
            end = match.end()
        if end != len(text):
            raise InputError(
                f"the pattern {self._compiled.pattern!r} does not cover the text at character "
                f"{end} ({text[end : end + 20]!r}): add an alternative, such as |(?s:.)."
            )


class _SequenceCutter:
    """Cuts by one expression after the other, and keeps what none of them matches."""

    def __init__(self, steps: list[regex.Pattern[str]]):
        self._steps = steps

    def __call__(self, text: str) -> Iterable[str]:
        pieces = [text] if text else []
        for step in self._steps:
            pieces = [part for piece in pieces for part in _isolated(step, piece)]
        return pieces


def _isolated(step: regex.Pattern[str], piece: str) -> Iterator[str]:
    """The matches in a piece, and what is between them."""
    end = 0
    for match in step.finditer(piece):
        if match.start() > end:
            yield piece[end : match.start()]
        if match[0]:
            yield match[0]
            end = match.end()
    if end < len(piece):
        yield piece[end:]
