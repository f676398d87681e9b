"""JSON as text (RFC 8259): strings, and values of every kind.

Between values there may be one space or one line's end with its indent, so that a model that likes
white space does not write it for ever.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from groundup.core.errors import InputError
from groundup.infer.grammar.characters import ALL, Characters, characters, of
from groundup.infer.grammar.expression import (
    EMPTY,
    Expression,
    Repeat,
    Rule,
    byte_range,
    concat,
    either,
    literal,
    one_of,
    optional,
)
from groundup.infer.grammar.numbers import NUMBER

_DEEPEST_INDENT = 24
LONGEST_NAME = 64  # characters of a property that the schema does not name
_PLAIN = (of('"\\') | characters([(0, 0x1F)])).others
_ESCAPED = _PLAIN.others & ALL
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HEX = either([byte_range(0x30, 0x39), byte_range(0x41, 0x46), byte_range(0x61, 0x66)])
_NOT_D = either(byte_range(*map(ord, ends)) for ends in ("09", "AC", "EF", "ac", "ef"))
# Any but U+D800 to U+DFFF, which are halves of characters.
_CODE = either(
    [
        concat(_NOT_D, Repeat(_HEX, 3, 3)),
        concat(either([literal("d"), literal("D")]), byte_range(0x30, 0x37), Repeat(_HEX, 2, 2)),
    ]
)
_ESCAPE = concat(literal("\\"), either([*map(literal, '"\\/bfnrt'), concat(literal("u"), _CODE)]))

SPACE = either(
    [EMPTY, literal(" "), concat(literal("\n"), Repeat(literal(" "), 0, _DEEPEST_INDENT))]
)
CHARACTER = either([_PLAIN.utf8, _ESCAPE])
VALUE = Rule("value")


def quoted(inside: Expression) -> Expression:
    """A string; what is inside is spelled already."""
    return concat(literal('"'), inside, literal('"'))


def spelled(some: Characters) -> Expression:
    """One of the characters as it stands in a string: as itself, or else in its shortest form."""
    return either([(some & _PLAIN).utf8, _escaped(some & _ESCAPED)])


@lru_cache(maxsize=1 << 6)
def _escaped(some: Characters) -> Expression:
    """Those that cannot stand as themselves; most often all of them."""
    return either(
        literal(_SHORT.get(chr(code), f"\\u{code:04x}"))
        for first, last in some.ranges
        for code in range(first, last + 1)
    )


def other_string(names: list[str]) -> Expression:
    """A string that is none of the names, in the spelling of `spelled`, and not too long. names: of
    at most so many characters."""
    return quoted(_apart(names, LONGEST_NAME))


def _apart(names: list[str], longest: int) -> Expression:
    """What differs from each of the names: it ends earlier, goes on, or turns elsewhere."""
    if not names:
        return _anything(longest)
    ends = [] if "" in names else [EMPTY]
    if longest == 0:
        return either(ends)
    following: dict[str, list[str]] = {}
    for name in names:
        if name:
            following.setdefault(name[0], []).append(name[1:])
    known = "".join(following)
    turned = _is_not(known) if len(known) < 2 else spelled(of(known).others)
    along = [concat(_is(c), _apart(rest, longest - 1)) for c, rest in following.items()]
    return either([*ends, concat(turned, _anything(longest - 1)), *along])


# Names have thousands of characters, and most of what may stand in their places is the same.


@lru_cache(maxsize=LONGEST_NAME + 1)
def _anything(longest: int) -> Expression:
    return Repeat(spelled(ALL), 0, longest)


@lru_cache(maxsize=1 << 8)
def _is(character: str) -> Expression:
    return spelled(of(character))


@lru_cache(maxsize=1 << 8)
def _is_not(character: str) -> Expression:
    return spelled(of(character).others)


def constants(values: Iterable[Any]) -> Expression:
    """One of several values as Python writes them, with white space where it may be."""
    texts, others = [], []
    for value in values:
        if isinstance(value, dict):
            members = [
                concat(constants([k]), SPACE_COLON, constants([v])) for k, v in value.items()
            ]
            others.append(listed("{", members, "}"))
        elif isinstance(value, list):
            others.append(listed("[", [constants([item]) for item in value], "]"))
        else:
            texts.append(_text(value))
    return either([one_of(texts), *others])


def _text(value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise InputError(f"{value} is no value of JSON: give another.") from error
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can only escape
        return json.dumps(value).encode()


def listed(opening: str, parts: list[Expression], closing: str) -> Expression:
    """All parts, with commas between them."""
    inside: list[Expression] = []
    for i, part in enumerate(parts):
        inside += [COMMA, part] if i else [part]
    return concat(literal(opening), SPACE, *inside, SPACE if parts else EMPTY, literal(closing))


def repeated(
    opening: str, part: Expression, closing: str, least: int, most: int | None
) -> Expression:
    """The same part so many times, with commas between them."""
    if most == 0:
        return listed(opening, [], closing)
    more = Repeat(concat(COMMA, part), max(0, least - 1), None if most is None else most - 1)
    some = concat(part, more, SPACE)
    return concat(literal(opening), SPACE, some if least else optional(some), literal(closing))


COMMA = concat(literal(","), SPACE)
SPACE_COLON = concat(literal(":"), SPACE)
STRING = quoted(Repeat(CHARACTER, 0, None))
MEMBER = concat(STRING, SPACE_COLON, VALUE)
OBJECT = repeated("{", MEMBER, "}", 0, None)
ARRAY = repeated("[", VALUE, "]", 0, None)

# What `VALUE` stands for; a grammar that has it needs this rule.
RULES = {
    "value": either(
        [OBJECT, ARRAY, STRING, NUMBER, *map(literal, ("true", "false", "null"))],
    )
}
