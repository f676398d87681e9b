"""What texts may look like: expressions over bytes, and rules that call each other.

With rules that call themselves they are context-free grammars, as JSON needs; without, they are
regular expressions. `automaton.py` reads them byte by byte.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Bytes:
    """One byte. members: bit b is set where it may be b."""

    members: int


@dataclass(frozen=True, eq=False)
class Concat:
    """One after the other."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, eq=False)
class Either:
    """One of them; nothing at all where there are none, and no text matches."""

    options: tuple["Expression", ...]


@dataclass(frozen=True, eq=False)
class Repeat:
    """The same `least` times at least, and `most` times at most."""

    part: "Expression"
    least: int
    most: int | None


@dataclass(frozen=True, eq=False)
class Rule:
    """What a grammar's rule of this name says."""

    name: str


Expression = Bytes | Concat | Either | Repeat | Rule

_DEEPEST = 100  # choices within each other

_EACH = [Bytes(1 << byte) for byte in range(256)]
EMPTY = Concat(())
NEVER = Either(())


@dataclass(frozen=True)
class Grammar:
    """rules: that `root` and they themselves call by name."""

    root: Expression
    rules: Mapping[str, Expression]


def literal(text: str | bytes) -> Expression:
    """A text as it is."""
    raw = text.encode() if isinstance(text, str) else text
    return concat(*(_EACH[byte] for byte in raw))


def one_of(texts: Iterable[bytes], depth: int = 0) -> Expression:
    """One of several texts; what they begin with alike is read once."""
    different = sorted(set(texts))
    if len(different) < 2 or depth == _DEEPEST:
        return either(map(literal, different))
    pairs = zip(different[0], different[-1], strict=False)  # in order: the others lie between
    count = next((i for i, (a, b) in enumerate(pairs) if a != b), len(different[0]))
    alike = different[0][:count]
    rests: dict[bytes, list[bytes]] = {}
    for text in different:
        rests.setdefault(text[count : count + 1], []).append(text[count:])
    return concat(literal(alike), either(one_of(rest, depth + 1) for rest in rests.values()))


def byte_range(first: int, last: int) -> Bytes:
    """One byte of those from the first to the last."""
    return Bytes((1 << last + 1) - (1 << first))


def concat(*parts: Expression) -> Expression:
    """One after the other, in the simplest form."""
    flat: list[Expression] = []
    for part in parts:
        flat += part.parts if isinstance(part, Concat) else [part]
    return flat[0] if len(flat) == 1 else Concat(tuple(flat))


def either(options: Iterable[Expression]) -> Expression:
    """One of them, in the simplest form: single bytes are one set."""
    members, others = 0, []
    for option in options:
        for one in option.options if isinstance(option, Either) else (option,):
            if isinstance(one, Bytes):
                members |= one.members
            else:
                others.append(one)
    all_of_them = [Bytes(members), *others] if members else others
    return all_of_them[0] if len(all_of_them) == 1 else Either(tuple(all_of_them))


def optional(part: Expression) -> Expression:
    """The part, or nothing."""
    return Repeat(part, 0, 1)


def productive(grammar: Grammar) -> Grammar | None:
    """The grammar without what no text matches; None where none matches at all.

    So whatever has been read can be brought to an end (Hopcroft and Ullman 1979, lemma 4.1).
    """
    callers: dict[str, set[str]] = {}
    for name, rule in grammar.rules.items():
        for called in _called(rule):
            callers.setdefault(called, set()).add(name)
    good: set[str] = set()
    pending = [*grammar.rules]
    while pending:
        name = pending.pop()
        if name not in good and _Pruned(good)(grammar.rules[name]) is not NEVER:
            good.add(name)
            pending += callers.get(name, ())
    pruned = _Pruned(good)
    root = pruned(grammar.root)
    if root is NEVER:
        return None
    return Grammar(root, {name: pruned(grammar.rules[name]) for name in good})


def _called(expression: Expression) -> set[str]:
    """The rules that an expression names."""
    found: set[str] = set()
    pending, seen = [expression], {id(expression)}
    while pending:
        at = pending.pop()
        parts: tuple[Expression, ...] = ()
        match at:
            case Rule(name):
                found.add(name)
            case Concat(parts) | Either(parts):
                pass
            case Repeat(part):
                parts = (part,)
            case Bytes():
                pass
        for part in parts:
            if id(part) not in seen:
                seen.add(id(part))
                pending.append(part)
    return found


class _Pruned:
    """An expression without options that no text matches; `NEVER` where none is left. What stands
    in several places is one thing there, too. good: rules that some text matches."""

    def __init__(self, good: set[str]):
        self._good = good
        self._found: dict[Expression, Expression] = {}

    def __call__(self, expression: Expression) -> Expression:
        if expression not in self._found:
            self._found[expression] = self._of(expression)
        return self._found[expression]

    def _of(self, expression: Expression) -> Expression:
        match expression:
            case Bytes():
                return expression if expression.members else NEVER
            case Rule(name):
                return expression if name in self._good else NEVER
            case Concat(parts):
                kept = [self(part) for part in parts]
                return NEVER if NEVER in kept else Concat(tuple(kept))
            case Either(options):
                left = [o for o in map(self, options) if o is not NEVER]
                return Either(tuple(left)) if left else NEVER
            case Repeat(part, least, most):
                kept_part = self(part)
                if kept_part is NEVER or most == 0:
                    return NEVER if least else EMPTY
                return Repeat(kept_part, least, most)
