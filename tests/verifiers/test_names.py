"""The oracle is `symtable`: the compiler's own account of scopes."""

import ast
import inspect
import json.decoder
import statistics
import symtable
import textwrap
import types

import pytest

from groundup.verifiers.names import names_bound, names_read, parameters


def reads_by_compiler(table: symtable.SymbolTable) -> set[str]:
    """What a function's scope and the scopes in it read, save what the inner ones bind."""
    reads = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    for child in table.get_children():
        local = {symbol.get_name() for symbol in child.get_symbols() if symbol.is_local()}
        reads |= reads_by_compiler(child) - local
    return {name for name in reads if not name.startswith(".")}


def binds_by_compiler(table: symtable.SymbolTable) -> set[str]:
    return {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported()
    }


def bodies(module: types.ModuleType) -> list[str]:
    """The top-level functions of a module that hold no class (whose scope has rules of its own)."""
    functions = [n for n in ast.parse(inspect.getsource(module)).body if type(n) is ast.FunctionDef]
    return [
        ast.unparse(function)
        for function in functions
        if not any(isinstance(node, ast.ClassDef) for node in ast.walk(function))
    ]


CASES = [
    "def f(a): return [a for a in a]",
    "def f(a): return [b for a in c for b in a if d]",
    "def f(a): return lambda b, *c, d=e, **g: (a, b, c, d, h)",
    "def f(a): return [y := x for x in a] + [y]",
    "def f():\n def g(x, y=z):\n  w = x\n  return w + v\n return g",
    "def f():\n import a.b\n import c.d as e\n from g import h\n return a, e, h",
    "def f():\n global a\n a = 1\n del b[c], d",
    "def f():\n try:\n  a()\n except (b, c) as d:\n  pass",
    "def f(s):\n match s:\n  case {'a': a, **b}: c\n  case [d, *e] as g: h\n  case K(x=i): j",
    "def f():\n with a as (b, c), d as e.g: pass",
    "def f():\n for a, b.c in d: pass\n a += h",
    "def f():\n x: y = z\n return {k: v for k, v in w.items()}",
]


@pytest.mark.parametrize(
    "source", CASES + bodies(textwrap) + bodies(statistics) + bodies(json.decoder)
)
def test_names_are_those_that_the_compiler_sees(source):
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    body = ast.Module(tree.body, [])
    evaluated = ast.unparse(ast.parse(source)).replace("x: y =", "x =")  # a local annotation is not
    (table,) = symtable.symtable(evaluated, "f", "exec").get_children()
    assert names_read(body) == reads_by_compiler(table)
    assert names_bound(body) == binds_by_compiler(table)


def test_parameters_come_in_the_order_of_the_signature():
    (function,) = ast.parse("def f(a, /, b, *c, d=lambda x: x, **e): pass").body
    assert isinstance(function, ast.FunctionDef)
    assert [argument.arg for argument in parameters(function.args)] == ["a", "b", "c", "d", "e"]
