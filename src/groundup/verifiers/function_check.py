"""The check behind `PythonFunction`: is this source the function that was asked for?

Hostile source can exhaust or crash the compiler, so the host never calls `check_function` on a
model's output: `main` runs in the sandbox. The source is parsed and compiled, never executed.

Five conditions, in this order: the source parses; compiles; defines the function at its top level;
with exactly the parameters asked for; and the live part of its body works on them.
docs/verifiers.md gives the rules with examples.
"""

import ast
import json
import sys
import warnings
from collections.abc import Iterator

from groundup.verifiers.liveness import (
    Statement,
    always_jumps,
    live_statements,
    reachable_statements,
)
from groundup.verifiers.names import names_bound, names_read, parameters

CONDITIONS = 5
READY = "ready"  # the first line that `main` writes: what fails later is the fault of an input

_CHOICES = (ast.If, ast.For, ast.While, ast.Match, ast.IfExp, ast.BoolOp, ast.comprehension)
_OPERATIONS = (
    *_CHOICES,
    *(ast.AsyncFor, ast.With, ast.AsyncWith, ast.Assert, ast.AugAssign),
    *(ast.Call, ast.Await, ast.YieldFrom, ast.BinOp, ast.UnaryOp, ast.Compare),
    *(ast.Attribute, ast.Subscript, ast.FormattedValue, ast.Starred),
)


def main() -> None:
    """Check each line of standard input, [source, name, signature], and write [met, reason] a line.

    A line is written as soon as it is known, so that what is missing tells where the process died.
    """
    warnings.simplefilter("ignore")
    print(READY, flush=True)
    for line in sys.stdin.buffer:
        source, name, wanted = json.loads(line)
        try:
            met, reason = check_function(source, name, wanted)
        except (RecursionError, MemoryError):
            met, reason = 0, "is too large or too deeply nested"
        print(json.dumps([met, reason[:200]]), flush=True)


def check_function(source: str, name: str, wanted: list[str]) -> tuple[int, str]:
    """How many of the five conditions hold, and why the next one does not.

    wanted: the signature's parts without defaults and annotations, as `signature` gives them.

    Source that defines no function at all meets no condition, though it may parse: an empty
    completion must not earn a part of the reward.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return 0, f"does not parse: {_describe(error)}"
    if not any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in tree.body):
        return 0, "defines no function"
    try:
        compile(tree, "<completion>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return 1, f"does not compile: {_describe(error)}"
    function = _top_level_function(tree, name)
    if function is None:
        return 2, f"defines no function {name} at the top level"
    if (found := signature(function.args)) != wanted:
        return 3, f"takes ({', '.join(found)}), not ({', '.join(wanted)})"
    if fault := _body_fault(function):
        return 4, fault
    return CONDITIONS, "passes"


def signature(arguments: ast.arguments) -> list[str]:
    """The parts of a signature without defaults and annotations.

    `def f(a, /, b=1, *, key: int, **rest)` gives `["a", "/", "b", "*", "key", "**rest"]`.
    """
    parts = [argument.arg for argument in arguments.posonlyargs]
    if parts:
        parts.append("/")
    parts += [argument.arg for argument in arguments.args]
    if arguments.vararg:
        parts.append("*" + arguments.vararg.arg)
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [argument.arg for argument in arguments.kwonlyargs]
    if arguments.kwarg:
        parts.append("**" + arguments.kwarg.arg)
    return parts


def _describe(error: SyntaxError | ValueError) -> str:
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{error.msg} (line {error.lineno})"
    return str(error)


def _top_level_function(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """What `name` stands for once the module has run, where that is a function it defines."""
    found = None
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            found = statement
        elif name in names_bound(statement):
            found = None
    return found


def _body_fault(function: ast.FunctionDef) -> str:
    """Why the body does not work on the parameters, or an empty string."""
    body = reachable_statements(function.body)
    outside = _declared_outside(function)
    live = live_statements(body, outside)
    if not live:
        return "the body does nothing"
    names = [argument.arg for argument in parameters(function.args)]
    # A method need not use its instance, unless that is all it is given.
    required = names[1:] if names[:1] in (["self"], ["cls"]) and len(names) > 1 else names
    for name in required:
        if not any(name in statement.reads for statement in live):
            return f"the body does not use {name}"
        if _is_overwritten(name, body):
            return f"the body overwrites {name} before it reads it"
    if not _has_operation(live, names):
        return "the body does no more than name its parameters"
    if _ends_one_way(live, outside, falls_off=not always_jumps(function.body)):
        return "the body always ends in the same way"
    if _only_calls_itself(function.name, live):
        return "the body calls itself without a condition"
    return ""


def _declared_outside(function: ast.FunctionDef) -> set[str]:
    """The names that the function, or one nested in it, declares `global` or `nonlocal`."""
    return {
        name
        for node in ast.walk(function)
        if isinstance(node, ast.Global | ast.Nonlocal)
        for name in node.names
    }


def _is_overwritten(name: str, body: tuple[Statement, ...]) -> bool:
    """Whether the argument is lost, on every path, before anything reads it."""
    for statement in body:
        if name in statement.reads:
            return False
        if name in statement.binds:
            return isinstance(statement.node, ast.Assign | ast.AnnAssign | ast.Delete | ast.For)
        if any(name in inner.reads | inner.binds for inner in _inner(statement)):
            return False  # what comes first depends on the path
    return False


def _inner(statement: Statement) -> Iterator[Statement]:
    for block in statement.blocks:
        for inner in block:
            yield inner
            yield from _inner(inner)


def _has_operation(live: list[Statement], names: list[str]) -> bool:
    """Whether an operation has a parameter or a local variable among its operands.

    A function without parameters has its operation on whatever it can see.
    """
    local = set(names).union(*(statement.binds for statement in live))
    return any(
        bool(names_read(node) & local if names else names_read(node))
        for statement in live
        for node in ast.walk(statement.node)
        if isinstance(node, _OPERATIONS) or (isinstance(node, ast.Dict) and None in node.keys)
    )


def _ends_one_way(live: list[Statement], outside: set[str], *, falls_off: bool) -> bool:
    """Whether the body has no effect and one constant outcome: a value, None, or an exception."""
    outcomes = {"None"} if falls_off else set[str]()
    for statement in live:
        match statement.node:
            case ast.Return(value=value):
                if statement.reads:
                    return False
                outcomes.add(ast.unparse(value) if value else "None")
            case ast.Raise() | ast.Assert():
                outcomes.add("an exception")
            case ast.With() | ast.AsyncWith():
                return False
            case _ if statement.has_effect or not outside.isdisjoint(statement.binds):
                return False
    return len(outcomes) < 2


def _only_calls_itself(name: str, live: list[Statement]) -> bool:
    if any(name in statement.binds for statement in live):
        return False  # the name stands for something else here, such as an import
    nodes = [node for statement in live for node in ast.walk(statement.node)]
    return not any(isinstance(node, _CHOICES) for node in nodes) and any(
        _is_call_of(name, node) for node in nodes
    )


def _is_call_of(name: str, node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=called)):
            return called == name
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self" | "cls"), attr=called)):
            return called == name
        case _:
            return False
