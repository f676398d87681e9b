"""Cut text into pieces by a pattern: the readable reference of the compiled splitters."""

from collections.abc import Callable, Iterable, Iterator

import regex

from groundup.core.errors import InputError
from groundup.tokenizers.patterns import CHARACTER, PATTERNS
from groundup.tokenizers.unicode import stand_ins

Cutter = Callable[[str], Iterable[str]]


def cutter(pattern: str) -> Cutter:
    """The function that cuts text into pieces, which are all of the text in order.

    pattern: `CHARACTER`, a name in `PATTERNS`, or a regular expression of the `regex` package.

    Raises `InputError` for an unknown name, and an expression that is wrong. The cutter raises it
    for a text of which the expression leaves something out.
    """
    if pattern == CHARACTER:
        return iter
    if pattern in PATTERNS:
        return _PublishedCutter(PATTERNS[pattern])
    if regex.fullmatch(r"[\w-]*", pattern):  # no expression of letters alone covers a text
        raise InputError(
            f"there is no pattern {pattern!r}: choose one of {[CHARACTER, *PATTERNS]}, or write a "
            "regular expression."
        )
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise InputError(f"the pattern {pattern!r} is no regular expression ({error}).") from error
    return _OwnCutter(compiled)


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
