"""Regular expressions: what Python's `re` and JavaScript share of them.

Classes and escapes mean what they mean in JavaScript (ECMA-262, section 22.2), as JSON Schema asks
for: `\\d` and `\\w` are ASCII, and `.` is any character but the ends of a line. What is no regular
language (references back), and what looks around, is refused.
"""

import re
from collections.abc import Callable

from groundup.core.errors import InputError
from groundup.infer.grammar.characters import ALL, Characters, characters, of
from groundup.infer.grammar.expression import (
    Expression,
    Grammar,
    Repeat,
    concat,
    either,
    productive,
)

Spelling = Callable[[Characters], Expression]

_DIGIT = characters([(0x30, 0x39)])
_WORD = _DIGIT | characters([(0x41, 0x5A), (0x61, 0x7A)]) | of("_")
_SPACE = of("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff") | characters(
    [(0x2000, 0x200A)]
)
_ANY = of("\n\r\u2028\u2029").others
_CLASSES = {
    "d": _DIGIT,
    "D": _DIGIT.others,
    "w": _WORD,
    "W": _WORD.others,
    "s": _SPACE,
    "S": _SPACE.others,
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_COUNT = re.compile(r"\{([0-9]{1,5})(,?)([0-9]{0,5})\}")
_GROUP = re.compile(r"\(\?(?::|P?<[A-Za-z_]\w*>)")
_DEEPEST = 64  # groups within each other
_LONGEST = 4096  # characters of a pattern


def parse_regex(
    pattern: str, spell: Spelling = lambda some: some.utf8, *, inside: bool = False
) -> Expression:
    """The texts that match as a whole; with `inside`, those in which some part matches.

    spell: how one character of a set is written. Raises `InputError` for what is no such pattern.
    """
    return _Parser(pattern, spell).whole(inside=inside)


def regex_grammar(pattern: str) -> Grammar:
    """The texts that match as a whole. Raises `InputError` for what is no such pattern."""
    try:
        grammar = productive(Grammar(parse_regex(pattern), {}))
    except RecursionError as error:
        raise InputError("the pattern is nested too deeply: make it simpler.") from error
    if grammar is None:
        raise InputError("no text matches the pattern: a class in it is empty.")
    return grammar


class _Parser:
    def __init__(self, pattern: str, spell: Spelling):
        self._pattern, self._spell = pattern, spell
        self._at = self._depth = 0

    def whole(self, *, inside: bool) -> Expression:
        if len(self._pattern) > _LONGEST:
            raise self._wrong(f"it has more than {_LONGEST:,} characters")
        around = Repeat(self._spell(ALL), 0, None)
        options = []
        while True:
            begins = self._take("^")
            option = self._sequence()
            ends = self._take("$")
            before = [around] if inside and not begins else []
            after = [around] if inside and not ends else []
            options.append(concat(*before, option, *after))
            if not self._take("|"):
                break
        if self._at < len(self._pattern):
            raise self._wrong(
                "a ) closes no group" if self._peek() == ")" else "$ is not at an end"
            )
        return either(options)

    def _alternatives(self) -> Expression:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return either(options)

    def _sequence(self) -> Expression:
        parts: list[Expression] = []
        while (c := self._peek()) and c not in "|)$":
            parts.append(self._repeated(self._atom()))
        return concat(*parts)

    def _repeated(self, part: Expression) -> Expression:
        count = self._count()
        if count is None:
            return part
        least, most = count
        if most is not None and most < least:
            raise self._wrong(f"{{{least},{most}}} is an empty range")
        if self._peek() == "+":
            raise self._wrong("possessive repetition is not known")
        self._take("?")  # a text matches or not, however little of it is taken first
        if self._peek() in ("*", "+", "?", "{"):
            raise self._wrong("there is nothing to repeat")
        return Repeat(part, least, most)

    def _count(self) -> tuple[int, int | None] | None:
        for sign, count in {"*": (0, None), "+": (1, None), "?": (0, 1)}.items():
            if self._take(sign):
                return count
        if self._peek() != "{":
            return None
        found = self._match(_COUNT)
        if found is None:
            raise self._wrong("{ begins no count: write \\{ for the character")
        least = int(found[1])
        if not found[2]:
            return least, least
        return least, int(found[3]) if found[3] else None

    def _atom(self) -> Expression:
        c = self._peek()
        if c == "(":
            return self._group()
        if c in ("*", "+", "?", "{"):
            raise self._wrong("there is nothing to repeat")
        if c == "^":
            raise self._wrong("^ is not at a beginning")
        if c in ("}", "]"):
            raise self._wrong(f"{c} closes nothing: write \\{c} for the character")
        self._at += 1
        if c == "[":
            return self._spell(self._class())
        if c == ".":
            return self._spell(_ANY)
        return self._spell(self._escape() if c == "\\" else self._itself(c))

    def _itself(self, c: str) -> Characters:
        return self._code(ord(c))

    def _group(self) -> Expression:
        if not self._pattern.startswith("(?", self._at):
            self._at += 1
        elif self._match(_GROUP) is None:
            raise self._wrong("groups that look around, and flags, are not known")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"more than {_DEEPEST} groups are within each other")
        inside = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            raise self._wrong("$ is not at an end" if self._peek() else "a group is not closed")
        return inside

    def _class(self) -> Characters:
        """Behind the bracket that opens it."""
        negated = self._take("^")
        if self._peek() == "]":
            raise self._wrong("the class is empty: write \\] for the character")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            member = self._member()
            if self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                member = self._range(member, self._member())
            ranges += member.ranges
        found = characters(ranges)
        return found.others if negated else found

    def _member(self) -> Characters:
        c = self._peek()
        if not c:
            raise self._wrong("a class is not closed")
        self._at += 1
        if c != "\\":
            return self._itself(c)
        if self._take("b"):
            return of("\b")
        return self._escape()

    def _range(self, first: Characters, last: Characters) -> Characters:
        ends = [some.ranges[0] for some in (first, last) if some.ranges]
        if len(ends) < 2 or any(a != b for a, b in ends):
            raise self._wrong("a range has a class at its end")
        if ends[0][0] > ends[1][0]:
            raise self._wrong("a range ends before it begins")
        return characters([(ends[0][0], ends[1][0])]) & ALL

    def _escape(self) -> Characters:
        """Behind the backslash."""
        if code := self._match(_CODE):
            return self._code(int(next(filter(None, code.groups())), 16))
        c = self._peek()
        self._at += 1
        if c in _CLASSES:
            return _CLASSES[c]
        following = self._peek()
        if c in _CONTROLS and not (c == "0" and following and following in "0123456789"):
            return of(_CONTROLS[c])
        if not c or c.isalnum():
            raise self._wrong(f"\\{c} is not known")
        return self._itself(c)

    def _code(self, code: int) -> Characters:
        found = characters([(code, code)]) & ALL
        if not found.ranges:
            raise self._wrong(f"U+{code:04X} is no character")
        return found

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self, sign: str) -> bool:
        there = self._peek() == sign
        self._at += there
        return there

    def _match(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self._pattern, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _wrong(self, why: str) -> InputError:
        shown = self._pattern if len(self._pattern) <= 80 else self._pattern[:80] + "…"
        return InputError(f"the pattern {shown!r}, at character {self._at + 1}: {why}.")
