"""The moderate rules: what they are meant for is dropped, and strange but good texts are kept."""

import base64
import random
import sys
import tokenize

import pytest

from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules import Basic
from groundup.curate.rules.rule import rules_of
from groundup.curate.rules.text_view import TextView

PROSE = "The cat sat on the mat, and looked at the moon.\nThen it slept until the morning.\n"
NOISE = random.Random(0).randbytes(200_000)


def broken(text: str) -> set[str]:
    """The rules that the text breaks."""
    view = TextView(text)
    return {rule.name for rule in rules_of(Basic()) if rule.reason(rule.measure.of(view))}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (PROSE, set()),
        ("def f(x):\n    return x\n", set()),
        ("", {"characters", "visible_letters"}),
        (NOISE.decode("latin-1"), {"control_characters"}),
        (NOISE.decode("utf-8", "replace"), {"control_characters"}),
        (base64.b64encode(NOISE).decode(), {"longest_line"}),
        (PROSE * 3, {"duplicate_line_characters"}),
        ("".join(f"{n},{n * n},{n**3}\n" for n in range(99)), {"visible_letters"}),
    ],
    ids=["prose", "code", "empty", "binary", "mojibake", "base64", "repeated", "table"],
)
def test_what_the_rules_are_meant_for_breaks_them(text: str, rules: set[str]) -> None:
    assert broken(text) == rules


@pytest.mark.parametrize("module", ["encodings.cp1252", "stringprep", "bisect", "html.entities"])
def test_the_standard_librarys_strangest_modules_are_kept(module: str) -> None:
    __import__(module)
    with tokenize.open(str(sys.modules[module].__file__)) as file:
        assert broken(file.read()) == set()


def test_reasons_have_figures() -> None:
    records: list[dict[str, str]] = []
    texts = ["short", "abcdefgh" * 3 + "\x01", "x" * 100_001, PROSE * 3, "a 1 2 3 " * 9]
    documents = [Document(text, "d", "s") for text in texts]
    assert list(Basic().apply(documents, Notes("basic", records.append))) == []
    assert [(record["rule"], record["reason"]) for record in records] == [
        ("characters", "has 5 characters, fewer than 20"),
        ("control_characters", "has 4.0% of control characters, more than 1.0%"),
        ("longest_line", "has a line of 100,001 characters, more than 100,000"),
        ("duplicate_line_characters", "repeats lines for 67% of its text, more than 50%"),
        ("visible_letters", "has 25% of letters, fewer than 30%"),
    ]
