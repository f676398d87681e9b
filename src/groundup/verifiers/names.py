"""Which names a piece of a syntax tree reads and binds in its own scope.

Nested scopes are told apart: in `[a for a in rows]` the `a` of the comprehension is not the `a`
outside of it.
"""

import ast
from collections.abc import Iterable


def names_read(node: ast.AST) -> set[str]:
    """The names whose value the node reads from the scope that it stands in."""
    match node:
        case ast.Name():
            return {node.id} if isinstance(node.ctx, ast.Load) else set()
        case ast.AnnAssign():  # the annotation of a local variable is never evaluated
            return _read_in([node.target, node.value] if node.value else [node.target])
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            own = {argument.arg for argument in parameters(node.args)} | _bound_in(node.body)
            return _read_in([node.args, *node.decorator_list]) | (_read_in(node.body) - own)
        case ast.Lambda():
            own = {argument.arg for argument in parameters(node.args)}
            return names_read(node.args) | (names_read(node.body) - own)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            own = _bound_in(part.target for part in node.generators)
            first = names_read(node.generators[0].iter)  # evaluated before the targets are bound
            return first | (_read_in(ast.iter_child_nodes(node)) - own)
        case _:
            return _read_in(ast.iter_child_nodes(node))


def names_bound(node: ast.AST) -> set[str]:
    """The names that the node assigns, deletes, defines, imports or captures in its own scope."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Lambda():
            return set()
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            named = (part for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
            return {part.target.id for part in named}  # := binds outside of a comprehension
        case ast.Name():
            return set() if isinstance(node.ctx, ast.Load) else {node.id}
        case ast.alias():
            return {node.asname or node.name.partition(".")[0]}
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
            return {node.name} | _bound_in(ast.iter_child_nodes(node))
        case ast.MatchMapping() if node.rest:
            return {node.rest} | _bound_in(ast.iter_child_nodes(node))
        case _:
            return _bound_in(ast.iter_child_nodes(node))


def parameters(arguments: ast.arguments) -> list[ast.arg]:
    """All parameters in the order of the signature."""
    vararg = [arguments.vararg] if arguments.vararg else []
    kwarg = [arguments.kwarg] if arguments.kwarg else []
    return [*arguments.posonlyargs, *arguments.args, *vararg, *arguments.kwonlyargs, *kwarg]


def _read_in(nodes: Iterable[ast.AST]) -> set[str]:
    return set[str]().union(*map(names_read, nodes))


def _bound_in(nodes: Iterable[ast.AST]) -> set[str]:
    return set[str]().union(*map(names_bound, nodes))
