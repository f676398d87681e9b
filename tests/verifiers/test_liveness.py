import ast
import textwrap

import pytest

from groundup.verifiers.liveness import always_jumps, live_statements, reachable_statements


def body_of(source: str) -> list[ast.stmt]:
    return ast.parse(textwrap.dedent(source)).body


def live(source: str) -> list[str]:
    """The first line of each statement that counts."""
    statements = live_statements(reachable_statements(body_of(source)), outside=set())
    return [ast.unparse(statement.node).splitlines()[0] for statement in statements]


@pytest.mark.parametrize(
    "source",
    [
        "pass",
        "...",
        '"""A docstring."""',
        "a; a.b; a[0]; a + b; (a, b); [x for x in a]",
        "import os",
        "_ = a",
        "x = a\ny = x\nz = y",
        "x = 0\nx = x + a",
        "x = 0\nx += a",
        "x: int = a",
        "x, (y, *z) = a",
        "del a",
        "def g(): print(a)",
        "g = lambda: a",
        "class C: x = print(a)",
        "if a: pass",
        "if a: x = b\nelse: x = c",
        "for x in a: pass",
        "for x in a:\n  if x: break\n  continue",
        "while a: a = b",
        "try: a\nexcept E: b\nfinally: c",
        "match a:\n  case b: c",
        "if False: print(a)",
        "if 0: print(a)\nelif '': print(b)",
        "while []: print(a)",
    ],
)
def test_statements_without_effect_do_not_count(source):
    assert live(source) == []


@pytest.mark.parametrize(
    ("source", "counted"),
    [
        ("x = a\ny = 1\nreturn x", ["x = a", "return x"]),
        ("print(a)", ["print(a)"]),
        ("_ = a.pop()", ["_ = a.pop()"]),
        ("yield a", ["yield a"]),
        ("a.b = 1", ["a.b = 1"]),
        ("a[0] += 1", ["a[0] += 1"]),
        ("del a[0]", ["del a[0]"]),
        ("with a: pass", ["with a:"]),
        ("assert a", ["assert a"]),
        ("def g(): return a\nreturn g", ["def g():", "return g"]),
        ("import os\nreturn os", ["import os", "return os"]),
        ("if a:\n  return 1", ["if a:", "return 1"]),
        ("if a: x = b\nelse: x = c\nreturn x", ["if a:", "x = b", "x = c", "return x"]),
        (
            "for x in a:\n  if x == b: break\nreturn x",
            ["for x in a:", "if x == b:", "break", "return x"],
        ),
        ("for x in a:\n  for y in b: break\nreturn x", ["for x in a:", "return x"]),
        ("for x in a:\n  pass\n  print(x)", ["for x in a:", "print(x)"]),
        ("try: return a\nexcept E as e: raise e", ["try:", "return a", "raise e"]),
        ("match a:\n  case [b]: return b", ["match a:", "return b"]),
        ("return a\nprint(b)", ["return a"]),
        ("if True: return a\nprint(b)", ["return a"]),
        ("if a: return 1\nelse: raise b\nprint(c)", ["if a:", "return 1", "raise b"]),
        ("while True:\n  print(a)", ["while True:", "print(a)"]),
    ],
)
def test_statements_that_make_a_difference_count(source, counted):
    assert live(source) == counted


def test_a_name_declared_outside_is_needed():
    body = reachable_statements(body_of("global x\nx = a"))
    assert [ast.unparse(s.node) for s in live_statements(body, {"x"})] == ["x = a"]


@pytest.mark.parametrize(
    ("source", "jumps"),
    [
        ("return", True),
        ("if a: return\nelse: raise b", True),
        ("if a: return", False),
        ("with a: return", True),
        ("if 1: return", True),
        ("while a: return", False),
        ("try: return\nexcept E: pass", False),
    ],
)
def test_whether_control_passes_the_end(source, jumps):
    assert always_jumps(body_of(source)) is jumps


def test_deep_nesting_costs_no_more_than_its_square():
    depth = 90  # the parser allows 100 levels; a doubling of work at each would never end
    lines = [" " * level + "if a:" for level in range(depth)] + [" " * depth + "return a"]
    assert len(live("\n".join(lines))) == depth + 1
