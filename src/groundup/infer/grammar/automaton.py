"""A grammar read byte by byte.

What may still come is a stack of expressions, of which the first is next; where a byte can be read
in several ways, there are several stacks, and a state is the set of them. So the states are those
of partial derivatives (Antimirov 1996, "Partial derivatives of regular expressions and finite
automaton constructions"), made when they are first reached; rules that call themselves make stacks
deeper, as in a pushdown automaton.

What has been worked out is kept in tables, and forgotten when they grow too large: a state is what
it says, and no number in a table, so that a text goes on from its own whatever was forgotten.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.infer.grammar.expression import (
    Bytes,
    Concat,
    Either,
    Expression,
    Grammar,
    Repeat,
    Rule,
)

NOWHERE, _UNKNOWN = -1, -2
_MOST_WAYS = 1 << 10  # to read the next byte
# Of states and of the stacks in them: what is kept, and what reading from one state may add.
_KEPT_STATES, _KEPT_STACKS = 1 << 13, 1 << 17
_MORE_STATES, _MORE_STACKS = 1 << 12, 1 << 16


class Stack:
    """What comes first, and the stack that comes behind it; None where nothing does."""

    __slots__ = ("first", "rest")

    def __init__(self, first: Expression, rest: "Stack | None"):
        self.first, self.rest = first, rest


State = frozenset[Stack | None]
DEAD: State = frozenset()


class Automaton:
    """States are sets of stacks, `DEAD` the one from which nothing can match.

    Every other state can be brought to an end, if the grammar is `productive`. Reading raises
    `InputError` where a grammar is more than a server should work at.
    """

    def __init__(self, grammar: Grammar):
        self._rules = grammar.rules
        self._forget()
        self.start: State = frozenset([self._push(grammar.root, None)])

    def accepts(self, state: State) -> bool:
        """Whether the text may end here."""
        return any(self._ways_of(stack)[1] for stack in state)

    def goes_on(self, state: State) -> bool:
        """Whether any byte may follow."""
        return any(self._ways_of(stack)[0] for stack in state)

    def read(self, state: State, text: bytes) -> State:
        """The state after some bytes."""
        at = self.begin(state)
        for byte in text:
            if self._table[at, byte] == _UNKNOWN:
                self._fill(at)
            at = int(self._table[at, byte])
            if at == NOWHERE:
                return DEAD
        return self._members[at]

    def begin(self, state: State) -> int:
        """The state's number, and those of the states behind it, until this is called again."""
        if len(self._members) > _KEPT_STATES or self._stacks > _KEPT_STACKS:
            self._forget()
        at = self._number(state)
        self._limits = len(self._members) + _MORE_STATES, self._stacks + _MORE_STACKS
        return at

    def step(self, at: NDArray[np.int32], following: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Of many states by their numbers, and a byte for each: those behind them; `NOWHERE` where
        the byte cannot be read."""
        present = np.zeros(len(self._members), dtype=bool)
        present[at] = True
        for number in np.flatnonzero(present):
            if self._table[number, 0] == _UNKNOWN:
                self._fill(int(number))
        return self._table[at, following]

    def _forget(self) -> None:
        self._cells: dict[tuple[Expression, Stack | None], Stack] = {}
        self._repeats: dict[tuple[Expression, int, int | None], Repeat] = {}
        self._ways: dict[Stack, tuple[list[tuple[int, Stack | None]], bool]] = {}
        self._members: list[State] = []
        self._numbers: dict[State, int] = {}
        self._stacks = 0  # of all states together
        self._limits = _MORE_STATES, _MORE_STACKS
        self._table = np.full((16, 256), _UNKNOWN, dtype=np.int32)

    def _number(self, state: State) -> int:
        found = self._numbers.get(state)
        if found is None:
            found = self._numbers[state] = len(self._members)
            self._members.append(state)
            self._stacks += len(state)
            if found == len(self._table):
                more = np.full_like(self._table, _UNKNOWN)
                self._table = np.concatenate((self._table, more))
        return found

    def _fill(self, number: int) -> None:
        """What follows each byte. Bytes that are in the same of the ways lead to the same state."""
        ways = [way for stack in self._members[number] for way in self._ways_of(stack)[0]]
        if len(ways) > _MOST_WAYS:
            raise InputError("the grammar is too ambiguous: make it simpler.")
        row = np.full(256, NOWHERE, dtype=np.int32)
        if ways:
            inside = np.stack([_bits(members) for members, _ in ways])
            kinds, which = np.unique(inside, axis=1, return_inverse=True)
            after = [
                self._number(frozenset(ways[i][1] for i in np.flatnonzero(kind)))
                if kind.any()
                else NOWHERE
                for kind in kinds.T
            ]
            row[:] = np.array(after, dtype=np.int32)[which.reshape(-1)]
        self._table[number] = row
        states, stacks = self._limits
        if len(self._members) > states or self._stacks > stacks:
            raise InputError("the grammar has too many states: make it simpler.")

    def _push(self, expression: Expression, rest: Stack | None) -> Stack:
        cell = expression, rest
        found = self._cells.get(cell)
        if found is None:
            found = self._cells[cell] = Stack(expression, rest)
        return found

    def _ways_of(self, stack: Stack | None) -> tuple[list[tuple[int, Stack | None]], bool]:
        """The ways to read a byte, as members and the stack after it; and whether nothing need
        follow."""
        if stack is None:
            return [], True
        if stack in self._ways:
            return self._ways[stack]
        ways: list[tuple[int, Stack | None]] = []
        ends = False
        pending: list[Stack | None] = [stack]
        seen: set[Stack | None] = {stack}
        while pending:
            at = pending.pop()
            if at is None:
                ends = True
                continue
            if isinstance(at.first, Bytes):
                ways.append((at.first.members, at.rest))
                continue
            for opened in self._opened(at.first, at.rest):
                if opened not in seen:
                    seen.add(opened)
                    pending.append(opened)
            if len(seen) > 2 * _MOST_WAYS:
                raise InputError("the grammar is too ambiguous: make it simpler.")
        self._ways[stack] = ways, ends
        return ways, ends

    def _opened(self, expression: Expression, rest: Stack | None) -> list[Stack | None]:
        """The stacks that an expression on top stands for, each with something simpler on top."""
        match expression:
            case Concat(parts):
                for part in reversed(parts):
                    rest = self._push(part, rest)
                return [rest]
            case Either(options):
                return [self._push(option, rest) for option in options]
            case Rule(name):
                return [self._push(self._rules[name], rest)]
            case Repeat(part, least, most):
                skipped: list[Stack | None] = [] if least else [rest]
                if most == 0:
                    return skipped
                again = self._repeat(part, max(0, least - 1), None if most is None else most - 1)
                return [self._push(part, self._push(again, rest)), *skipped]
            case Bytes():
                return []

    def _repeat(self, part: Expression, least: int, most: int | None) -> Repeat:
        key = part, least, most
        if key not in self._repeats:
            self._repeats[key] = Repeat(*key)
        return self._repeats[key]


@lru_cache(maxsize=1 << 12)
def _bits(members: int) -> NDArray[np.uint8]:
    """[256], one where a byte is a member."""
    raw = np.frombuffer(members.to_bytes(32, "little"), dtype=np.uint8)
    return np.unpackbits(raw, bitorder="little")
