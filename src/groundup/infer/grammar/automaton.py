"""A grammar read byte by byte.

What may still come is a stack of expressions, of which the first is next; where a byte can be read
in several ways, there are several stacks, and a state is the set of them. So the states are those
of partial derivatives (Antimirov 1996, "Partial derivatives of regular expressions and finite
automaton constructions"), made when they are first reached; rules that call themselves make stacks
deeper, as in a pushdown automaton.
"""

from functools import cache

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

DEAD = -1
_UNKNOWN = -2
_DONE = 0  # the stack on which nothing is left
_MOST_STATES = 1 << 14  # a kilobyte each
_MOST_STACKS = 1 << 18
_MOST_WAYS = 1 << 9  # to read the next byte


class Automaton:
    """States are numbers, `DEAD` where nothing can match any more.

    Every other state can be brought to an end, if the grammar is `productive`. Reading raises
    `InputError` where a grammar has more states than a server should remember.
    """

    def __init__(self, grammar: Grammar):
        self._rules = grammar.rules
        self._cells: list[tuple[Expression, int]] = []  # of a stack: the first, and the rest
        self._stacks: dict[tuple[Expression, int], int] = {}
        self._repeats: dict[tuple[Expression, int, int | None], Repeat] = {}
        self._states: dict[frozenset[int], int] = {}
        self._members: list[frozenset[int]] = []
        self._ways: dict[int, tuple[list[tuple[int, int]], bool]] = {}
        self._table = np.full((16, 256), _UNKNOWN, dtype=np.int32)
        self.start = self._state(frozenset([self._push(grammar.root, _DONE)]))

    def accepts(self, state: int) -> bool:
        """Whether the text may end here."""
        return any(self._next(stack)[1] for stack in self._members[state])

    def goes_on(self, state: int) -> bool:
        """Whether any byte may follow."""
        return any(self._next(stack)[0] for stack in self._members[state])

    def read(self, state: int, text: bytes) -> int:
        """The state after some bytes."""
        for byte in text:
            if state == DEAD:
                break
            if self._table[state, byte] == _UNKNOWN:
                self._fill(state)
            state = int(self._table[state, byte])
        return state

    def read_each(
        self, states: NDArray[np.int32], following: NDArray[np.uint8]
    ) -> NDArray[np.int32]:
        """The same for many texts at once, a byte of each. None of the states is `DEAD`."""
        present = np.zeros(len(self._members), dtype=bool)
        present[states] = True
        for state in np.flatnonzero(present):
            if self._table[state, 0] == _UNKNOWN:
                self._fill(int(state))
        return self._table[states, following]

    def _fill(self, state: int) -> None:
        """What follows each byte. Bytes that are in the same of the ways lead to the same state."""
        ways = [way for stack in self._members[state] for way in self._next(stack)[0]]
        if len(ways) > _MOST_WAYS:
            raise InputError("the grammar is too ambiguous: make it simpler.")
        row = np.full(256, DEAD, dtype=np.int32)
        if ways:
            inside = np.stack([_bits(members) for members, _ in ways])
            kinds, which = np.unique(inside, axis=1, return_inverse=True)
            after = [
                self._state(frozenset(ways[i][1] for i in np.flatnonzero(kind)))
                if kind.any()
                else DEAD
                for kind in kinds.T
            ]
            row[:] = np.array(after, dtype=np.int32)[which.reshape(-1)]
        self._table[state] = row

    def _state(self, stacks: frozenset[int]) -> int:
        state = self._states.get(stacks)
        if state is None:
            state = self._states[stacks] = len(self._members)
            if state >= _MOST_STATES:
                raise InputError("the grammar has too many states: make it simpler.")
            self._members.append(stacks)
            if state == len(self._table):
                more = np.full_like(self._table, _UNKNOWN)
                self._table = np.concatenate((self._table, more))
        return state

    def _push(self, expression: Expression, stack: int) -> int:
        cell = expression, stack
        found = self._stacks.get(cell)
        if found is None:
            self._cells.append(cell)
            found = self._stacks[cell] = len(self._cells)
            if found >= _MOST_STACKS:
                raise InputError("the grammar is nested too deeply: make it simpler.")
        return found

    def _next(self, stack: int) -> tuple[list[tuple[int, int]], bool]:
        """The ways to read a byte, as members and the stack after it; and whether nothing need
        follow."""
        if stack in self._ways:
            return self._ways[stack]
        ways: list[tuple[int, int]] = []
        ends = False
        pending, seen = [stack], {stack}
        while pending:
            at = pending.pop()
            if at == _DONE:
                ends = True
                continue
            expression, rest = self._cells[at - 1]
            if isinstance(expression, Bytes):
                ways.append((expression.members, rest))
                continue
            for opened in self._opened(expression, rest):
                if opened not in seen:
                    seen.add(opened)
                    pending.append(opened)
            if len(seen) > _MOST_WAYS:
                raise InputError("the grammar is too ambiguous: make it simpler.")
        self._ways[stack] = ways, ends
        return ways, ends

    def _opened(self, expression: Expression, rest: int) -> list[int]:
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
                skipped = [] if least else [rest]
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


@cache
def _bits(members: int) -> NDArray[np.uint8]:
    """[256], one where a byte is a member."""
    raw = np.frombuffer(members.to_bytes(32, "little"), dtype=np.uint8)
    return np.unpackbits(raw, bitorder="little")
