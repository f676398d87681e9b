"""The specification of the five conditions, as a table.

check_function runs in this process here, on sources that are known to be harmless.
"""

import inspect
import io
import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.verifiers.function_check import CONDITIONS, READY, check_function, main, signature
from groundup.verifiers.python_function import PythonFunction

GOOD = [
    ("a b", "def f(a, b): return a + b"),
    ("a b", "def f(a, b):\n  'Doc.'\n  return b[a]"),
    ("a b", "def f(a: int, b: int = 0) -> int: return max(a, b)"),
    ("a b", "import os\ndef helper(x): return x\n@os.cache\ndef f(a, b): return helper(a)(b)"),
    ("a b", "def f(a, b):\n  if a > b:\n    return True\n  return False"),
    ("a b", "def f(a, b):\n  if a and b: return 1"),
    ("a b", "def f(a, b): print(a, b)"),
    ("a b", "def f(a, b): return f'{a}: {b}'"),
    ("a b", "def f(a, b): return [*a, *b]"),
    ("a b", "def f(a, b): return {**a, 'b': b}"),
    ("a b", "def f(a, b): return lambda x: x + a + b"),
    ("a b", "def f(a, b):\n  for x in a: yield x\n  yield b"),
    ("a b", "def f(a, b):\n  with a: b.run()"),
    ("a b", "def f(a, b):\n  if not isinstance(a, b): raise TypeError(a)"),
    ("a b", "def f(a, b): return a if b else f(b, a)"),
    ("a b", "def f(a, b):\n  a = a or []\n  a.append(b)\n  return a"),
    ("a b", "def f(a, b):\n  x = a\n  x -= b\n  return x"),
    ("a b", "def f(a, b):\n  from other import f\n  return f(a, b)"),
    ("a b", "def f(a, b): return 1\ndef f(a, b): return a - b"),
    ("a / b * c **d", "def f(a, /, b=2, *, c, **d): return g(a, b, c, **d)"),
    ("a *b c", "def f(a, *b, c=None): return a(*b, c)"),
    ("self a", "def f(self, a): self.a = a"),
    ("self a", "def f(self, a): return len(a)"),
    ("self", "def f(self): return self.a"),
    ("cls a", "def f(cls, a): return cls(a)"),
    ("", "def f(): return time.time()"),
]

# parameters, source, how many conditions hold, a part of the reason
BAD = [
    ("a", "", 0, "defines no function"),
    ("a", "'''Words.'''\nx = 1", 0, "defines no function"),
    ("a", "class f:\n  def f(a): return -a", 0, "defines no function"),
    ("a", "def f(a) return -a", 0, "does not parse: expected ':' (line 1)"),
    ("a", "def f(a):\nreturn -a", 0, "does not parse: expected an indented block"),
    ("a", "Write a function", 0, "does not parse"),
    ("a", "```python\ndef f(a): return -a\n```", 0, "does not parse"),
    ("a", "def f(a): return -a\0", 0, "null byte"),
    ("a", "def f(a): return '\ud800' + a", 0, "surrogates not allowed"),
    ("a", "def f(a, a): return -a", 1, "duplicate argument 'a'"),
    ("a", "return 1\ndef f(a): return -a", 1, "'return' outside function"),
    ("a", "def f(a): break", 1, "'break' outside loop"),
    ("a", "def g(a): return -a", 2, "no function f"),
    ("a", "def g(a):\n  def f(a): return -a\n  return f", 2, "no function f"),
    ("a", "async def f(a): return -a", 2, "no function f"),
    ("a", "def f(a): return -a\nf = None", 2, "no function f"),
    ("a", "def f(a): return -a\ndel f", 2, "no function f"),
    ("a", "def f(a): return -a\nfrom os import f", 2, "no function f"),
    ("a", "def f(): return 1", 3, "takes (), not (a)"),
    ("a b", "def f(b, a): return a + b", 3, "takes (b, a), not (a, b)"),
    ("a b", "def f(*a): return len(a)", 3, "takes (*a), not (a, b)"),
    ("a b", "def f(a, b, c=0): return a + b + c", 3, "takes (a, b, c), not (a, b)"),
    ("a b", "def f(a, *, b): return a + b", 3, "takes (a, *, b), not (a, b)"),
    ("a b", "def f(a, b, /): return a + b", 3, "takes (a, b, /), not (a, b)"),
    ("*a", "def f(a): return len(a)", 3, "takes (a), not (*a)"),
    ("a", "def f(a): pass", 4, "does nothing"),
    ("a", "def f(a): ...", 4, "does nothing"),
    ("a", "def f(a): 'Only a docstring.'", 4, "does nothing"),
    ("a", "def f(a): a", 4, "does nothing"),
    ("a", "def f(a): _ = a", 4, "does nothing"),
    ("a", "def f(a): del a", 4, "does nothing"),
    ("a", "def f(a):\n  if a: pass", 4, "does nothing"),
    ("a", "def f(a):\n  for x in a: pass", 4, "does nothing"),
    ("a", "def f(a):\n  if False: return -a", 4, "does nothing"),
    ("a", "def f(a): return", 4, "does not use a"),
    ("a", "def f(a): return 0", 4, "does not use a"),
    ("a", "def f(a): raise NotImplementedError", 4, "does not use a"),
    ("a", "def f(a):\n  return 0\n  return -a", 4, "does not use a"),
    ("a", "def f(a):\n  x = -a\n  return len('x')", 4, "does not use a"),
    ("a", "def f(a): return lambda a: -a", 4, "does not use a"),
    ("a", "def f(a): return [a for a in range(3)]", 4, "does not use a"),
    ("a", "def f(a):\n  def g(): return -a\n  return 1", 4, "does not use a"),
    ("a", "def f(a): return locals()", 4, "does not use a"),
    ("a b", "def f(a, b): return -a", 4, "does not use b"),
    ("a b", "def f(a, b):\n  b\n  return -a", 4, "does not use b"),
    ("a b", "def f(a, b=a): return -a", 4, "does not use b"),
    ("self a", "def f(self, a): return self.x", 4, "does not use a"),
    ("self", "def f(self): return len([])", 4, "does not use self"),
    ("a", "def f(a):\n  a = 1\n  return -a", 4, "overwrites a"),
    ("a", "def f(a):\n  for a in range(3): print(a)", 4, "overwrites a"),
    ("a", "def f(a): return a", 4, "no more than name"),
    ("a b", "def f(a, b): return a, b", 4, "no more than name"),
    ("a b", "def f(a, b): return [a, {b: a}]", 4, "no more than name"),
    ("a b", "def f(a, b):\n  x = a\n  return x, b", 4, "no more than name"),
    ("a", "def f(a): return a, len('x')", 4, "no more than name"),
    ("a", "def f(a): yield a", 4, "no more than name"),
    ("a", "def f(a): return lambda: a", 4, "no more than name"),
    ("a", "def f(a): raise ValueError(a)", 4, "always ends in the same way"),
    ("a", "def f(a):\n  if a: return", 4, "always ends in the same way"),
    ("a", "def f(a):\n  if a: return 0\n  return 0", 4, "always ends in the same way"),
    ("a b", "def f(a, b): return f(a, b)", 4, "calls itself"),
    ("self a", "def f(self, a): return self.f(a)", 4, "calls itself"),
    ("", "def f(): return 1 + 1", 4, "no more than name"),
]


@pytest.mark.parametrize(("parameters", "source"), GOOD)
def test_good_functions_pass(parameters, source):
    assert check_function(source, "f", parameters.split()) == (CONDITIONS, "passes")


@pytest.mark.parametrize(("parameters", "source", "met", "reason"), BAD)
def test_bad_functions_fail_at_the_condition_that_does_not_hold(parameters, source, met, reason):
    found, why = check_function(source, "f", parameters.split())
    assert (found, reason in why) == (met, True), why


@pytest.mark.parametrize(
    "function", [textwrap.dedent, textwrap.fill, inspect.getsource, json.loads]
)
def test_functions_that_people_wrote_pass(function):
    wanted = [
        part.partition("=")[0].strip() for part in str(inspect.signature(function))[1:-1].split(",")
    ]
    assert check_function(inspect.getsource(function), function.__name__, wanted)[0] == CONDITIONS


@given(st.data())
def test_the_signature_is_written_as_inspect_writes_it(data):
    """Any order of kinds that the grammar allows; the oracle is `inspect.signature`."""
    counts = [data.draw(st.integers(0, 2)) for _ in range(3)]
    names = iter("abcdefgh")
    positional, ordinary, keyword = ([next(names) for _ in range(count)] for count in counts)
    star = ["*rest"] if data.draw(st.booleans()) else ["*"] if keyword else []
    options = ["**options"] if data.draw(st.booleans()) else []
    parts = positional + ["/"] * bool(positional) + ordinary + star + keyword + options
    function = eval(f"lambda {', '.join(parts)}: None")
    tree = compile(f"lambda {', '.join(parts)}: None", "", "eval", 0x400)  # ast.PyCF_ONLY_AST
    assert f"({', '.join(signature(tree.body.args))})" == str(inspect.signature(function))


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(text):
    met, reason = check_function(text, "f", ["a"])
    assert 0 <= met <= CONDITIONS
    assert reason


def test_main_answers_line_by_line(monkeypatch, capsys):
    requests = [[source, "f", parameters.split()] for parameters, source in GOOD[:3]]
    requests += [["(" * 199 + ")" * 199, "f", []], ["-" * 9000 + "1", "f", []]]
    lines = "".join(json.dumps(request) + "\n" for request in requests).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    main()
    ready, *answers = capsys.readouterr().out.splitlines()
    assert ready == READY
    assert [json.loads(answer)[0] for answer in answers] == [5, 5, 5, 0, 0]


def test_in_the_sandbox_the_verdicts_are_the_same():
    cases = [(parameters.split(), source) for parameters, source, *_ in GOOD + BAD]
    verdicts = PythonFunction().verify_batch(
        [({"name": "f", "parameters": parameters}, source) for parameters, source in cases]
    )
    for (parameters, source), verdict in zip(cases, verdicts, strict=True):
        met, reason = check_function(source, "f", parameters)
        assert (verdict.score, verdict.partial) == (float(met == CONDITIONS), met / CONDITIONS)
        assert verdict.reason == reason
