"""The live part of a function's body: what can be reached and makes a difference.

A statement counts if it ends the function, has an effect (it calls, awaits, yields, or writes to
an attribute or an item), or binds a name that a statement that counts reads. The set of needed
names grows from nothing to its fixed point, so that `x = x + 1` does not keep itself alive.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from groundup.verifiers.names import names_bound, names_read

_ACTIONS = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_ENDS = (ast.Return, ast.Raise, ast.Assert, ast.With, ast.AsyncWith)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and what is asked of it more than once.

    node: a compound statement has its blocks emptied; a nested definition is whole.
    reads, binds: names in the function's own scope, blocks not counted.
    has_effect: it may do something beyond the function's local variables.
    blocks: the reachable statements of a compound statement's blocks.
    """

    node: ast.stmt
    reads: frozenset[str]
    binds: frozenset[str]
    has_effect: bool
    blocks: tuple[tuple["Statement", ...], ...]


def reachable_statements(block: list[ast.stmt]) -> tuple[Statement, ...]:
    """The block up to its first jump, without the dead side of a constant condition."""
    return tuple(_statement(node) for node in _reachable(block)[0])


def live_statements(body: tuple[Statement, ...], outside: set[str]) -> list[Statement]:
    """The statements that count, flat and in order: a compound one, then those in its blocks.

    outside: names that `global` and `nonlocal` place outside of the function.
    """
    needed = set(outside)
    while True:
        live = list(_live(body, needed))
        grown = needed.union(*(statement.reads for statement in live))
        if grown == needed:
            return live
        needed = grown


def always_jumps(block: list[ast.stmt]) -> bool:
    """Whether control surely never passes the end of the block."""
    return _reachable(block)[1]


def _statement(node: ast.stmt) -> Statement:
    blocks = _blocks(node)
    header = _without_blocks(node) if blocks else node
    return Statement(
        node=header,
        reads=frozenset(names_read(header)),
        binds=frozenset(names_bound(header)),
        has_effect=not isinstance(node, _DEFINITIONS) and _has_effect(header),
        blocks=tuple(reachable_statements(block) for block in blocks),
    )


def _live(
    block: tuple[Statement, ...], needed: set[str], in_live_loop: bool = False
) -> Iterator[Statement]:
    for statement in block:
        if _counts(statement, needed, in_live_loop):
            yield statement
            in_loop = in_live_loop or isinstance(statement.node, _LOOPS)
            for inner in statement.blocks:
                yield from _live(inner, needed, in_loop)


def _counts(statement: Statement, needed: set[str], in_live_loop: bool) -> bool:
    if isinstance(statement.node, ast.Break | ast.Continue):
        return in_live_loop  # a loop must count for another reason than how it is left
    in_loop = in_live_loop and not isinstance(statement.node, _LOOPS)
    return (
        isinstance(statement.node, _ENDS)
        or statement.has_effect
        or not needed.isdisjoint(statement.binds)
        or any(_counts(inner, needed, in_loop) for block in statement.blocks for inner in block)
    )


def _has_effect(node: ast.AST) -> bool:
    return any(
        isinstance(inner, _ACTIONS)
        or (
            isinstance(inner, ast.Attribute | ast.Subscript) and not isinstance(inner.ctx, ast.Load)
        )
        for inner in ast.walk(node)
    )


def _reachable(block: list[ast.stmt]) -> tuple[list[ast.stmt], bool]:
    """What of the block can be reached, and whether control surely never passes its end."""
    kept: list[ast.stmt] = []
    for statement in block:
        chosen = _constant_choice(statement)
        if chosen is None:
            kept.append(statement)
            jumps = _jumps(statement)
        else:
            inner, jumps = _reachable(chosen)
            kept += inner
        if jumps:
            return kept, True
    return kept, False


def _jumps(statement: ast.stmt) -> bool:
    match statement:
        case ast.Return() | ast.Raise() | ast.Break() | ast.Continue():
            return True
        case ast.If():
            return always_jumps(statement.body) and always_jumps(statement.orelse)
        case ast.With():
            return always_jumps(statement.body)
        case _:
            return False


def _constant_choice(statement: ast.stmt) -> list[ast.stmt] | None:
    """The one block that a literal condition leaves, where the statement has such a condition."""
    if not isinstance(statement, ast.If | ast.While):
        return None
    try:
        truth = bool(ast.literal_eval(statement.test))
    except (ValueError, TypeError, SyntaxError):
        return None
    if truth:
        return statement.body if isinstance(statement, ast.If) else None
    return statement.orelse


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of a compound statement that run in the function's own scope."""
    if isinstance(statement, _DEFINITIONS):
        return []
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(statement, "handlers", [])]
    blocks += [case.body for case in getattr(statement, "cases", [])]
    return [block for block in blocks if block]


def _without_blocks(statement: ast.stmt) -> ast.stmt:
    fields = dict(ast.iter_fields(statement))
    fields |= {name: [] for name in ("body", "orelse", "finalbody") if name in fields}
    if isinstance(statement, ast.Try | ast.TryStar):
        fields["handlers"] = [
            ast.ExceptHandler(type=handler.type, name=handler.name, body=[])
            for handler in statement.handlers
        ]
    elif isinstance(statement, ast.Match):
        fields["cases"] = [
            ast.match_case(pattern=case.pattern, guard=case.guard, body=[])
            for case in statement.cases
        ]
    return ast.copy_location(type(statement)(**fields), statement)
