import ast
import textwrap
from collections.abc import Iterator

import pytest

from groundup.align.pairs import Pair, extract_pairs, function_prompt, held_out_pairs
from groundup.curate.document import Document
from groundup.verifiers.python_function import PythonFunction

SOURCE = '''
import math

@cache
def clamp(value, low=0, *, high: int = 1) -> int:
    """Return value limited to the range
    from low to high.

    More words that the request leaves out.
    """
    # A comment.
    if value < low: return low
    return min(value,
               high)

def silent(a, b):
    return "a" + b[a]

def stub(a):
    """Promise much."""
    raise NotImplementedError

async def waits(a):
    """Wait for a."""
    return await a

class Shape:
    """A class is no function."""

    def scale(self, factor):
        """Multiply all sides by factor."""
        self.side *= factor

        def inner(x):
            """Not asked for."""
            return -x

    class Inner:
        @property
        def area(self):
            """The area."""
            return self.side ** 2
'''


def document(text: str, name: str = "a.py") -> Document:
    return Document(text=text, id=name, source="test", metadata={})


def names(pairs) -> list[str]:
    return [pair.problem["name"] for pair in pairs]


def test_a_docstring_becomes_a_request_and_the_function_its_answer():
    pair = next(extract_pairs([document(SOURCE)]))
    assert pair.prompt == (
        "Write the function clamp(value, low, *, high): "
        "Return value limited to the range from low to high."
    )
    assert pair.completion == textwrap.dedent(
        """\
        def clamp(value, low=0, *, high: int=1) -> int:
            if value < low:
                return low
            return min(value, high)
        """
    )
    assert pair.problem == {"name": "clamp", "parameters": ["value", "low", "*", "high"]}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ["clamp", "scale", "area"]),
        ({"methods": False}, ["clamp"]),
        ({"undocumented": True}, ["clamp", "silent", "scale", "area"]),
        ({"max_characters": 60}, ["area"]),
    ],
)
def test_which_functions_are_taken(options, found):
    assert names(extract_pairs([document(SOURCE)], **options)) == found


def test_without_a_docstring_the_signature_is_the_request():
    (pair,) = extract_pairs([document("def add(a, b):\n  return a + b")], undocumented=True)
    assert pair.prompt == function_prompt("add", ["a", "b"]) == "Write the function add(a, b)."


@pytest.mark.parametrize(
    ("docstring", "request_"),
    [
        ("Add.", ": Add."),
        ("  Add\n      numbers.\n\n    More.", ": Add numbers."),
        ("Add. " + "Then explain. " * 20, ": Add."),
        ("word " * 100, "."),
        ("", "."),
    ],
)
def test_a_summary_is_short(docstring, request_):
    source = f"def add(a, b):\n    {docstring!r}\n    return a + b"
    (pair,) = extract_pairs([document(source)], undocumented=True)
    assert pair.prompt == f"Write the function add(a, b){request_}"


@pytest.mark.parametrize(
    "text", ["", "Plain words.", "def f(:", "x = '\0'", "(" * 300, "-" * 100_000 + "1", "\ud800"]
)
def test_a_document_that_is_not_python_gives_no_pair(text):
    documents = [document(text), document(SOURCE, "b.py")]
    assert names(extract_pairs(documents)) == ["clamp", "scale", "area"]


def test_a_repeated_pair_comes_once():
    other = document(SOURCE.replace("self.side ** 2", "self.side ** 3"), "b.py")
    pairs = list(extract_pairs([document(SOURCE), document(SOURCE), other]))
    assert names(pairs) == ["clamp", "scale", "area", "area"]


def test_warnings_of_the_source_do_not_reach_the_host():
    """Warnings are errors here."""
    source = "def f(a):\n    'Doc.'\n    return a is 1 or a == '\\d'"
    assert names(extract_pairs([document(source)])) == ["f"]


def test_many_pairs_pass_through_batches_in_order():
    functions = [f"def f{n}(a):\n    'Add {n}.'\n    return a + {n}\n" for n in range(600)]
    assert names(extract_pairs([document("\n".join(functions))])) == [f"f{n}" for n in range(600)]


def test_every_completion_passes_the_verifier_and_keeps_no_docstring():
    pairs = list(extract_pairs([document(SOURCE)], undocumented=True))
    verdicts = PythonFunction().verify_batch([(pair.problem, pair.completion) for pair in pairs])
    assert all(verdict.score == 1.0 for verdict in verdicts)
    for pair in pairs:
        (function,) = ast.parse(pair.completion).body
        assert isinstance(function, ast.FunctionDef)
        assert ast.get_docstring(function) is None


def test_held_out_pairs_give_nothing_away():
    def pair(prompt: str, completion: str) -> Pair:
        return Pair(prompt, completion, {"name": "f", "parameters": []})

    training = [pair("p1", "c1"), pair("p2", "c2")]
    held_out = [pair("p1", "c9"), pair("p3", "c2"), pair("p4", "c4"), pair("p4", "c5")]
    assert held_out_pairs(held_out, training) == [pair("p4", "c4")]


def test_documents_are_read_as_pairs_are_asked_for() -> None:
    read = []

    def documents() -> Iterator[Document]:
        for i in range(6000):
            read.append(i)
            yield document(f'def f{i}(a):\n    """Return {i}."""\n    return a + {i}\n')

    pairs = extract_pairs(documents())
    assert next(pairs).problem["name"] == "f0"
    assert len(read) < 6000
    pairs.close()
