import base64
import random
import sys
import tokenize

import pytest

from groundup.curate.corpus import Curate
from groundup.curate.document import Document
from groundup.curate.filters import (
    apply_filter,
    control_characters,
    few_letters,
    long_line,
    repetitive,
    too_short,
)

PROSE = "The cat sat on the mat, and looked at the moon.\nThen it slept until the morning.\n"


def doc(text):
    return Document(text, "d", "s")


def test_too_short_counts_characters():
    assert too_short(doc("ééé"), min_chars=3) is None
    assert too_short(doc("éé"), min_chars=3) == "has 2 characters, fewer than 3"
    assert too_short(doc(""), min_chars=1) is not None


def test_control_characters_are_those_that_text_does_not_have():
    assert control_characters(doc("a\tb\n\x0cc" * 9), max_share=0.0) is None
    assert control_characters(doc("abc\x01"), max_share=0.25) is None
    assert "25.0%" in str(control_characters(doc("abc\x01"), max_share=0.2))
    assert control_characters(doc("abc\ufffd"), max_share=0.2) is not None
    assert control_characters(doc(""), max_share=0.0) is None


def test_long_line_looks_at_the_longest():
    assert long_line(doc("a\n" + "b" * 10 + "\nc"), max_chars=10) is None
    assert "11 characters" in str(long_line(doc("a\n" + "b" * 11), max_chars=10))


def test_repetitive_counts_the_characters_of_repeated_lines():
    assert repetitive(doc("abcd\nabcd\n"), max_share=0.5) is None
    assert "67%" in str(repetitive(doc("abcd\n  abcd\nabcd\n"), max_share=0.5))
    assert repetitive(doc("\n\n\n\n"), max_share=0.5) is None


def test_few_letters_means_digits_and_ascii_punctuation():
    assert few_letters(doc("ab12"), min_share=0.5) is None
    assert "25%" in str(few_letters(doc("a 1 2 3"), min_share=0.5))
    assert few_letters(doc("日本語 ไทย हिन्दी"), min_share=1.0) is None


def test_a_filter_sends_each_document_one_way():
    short, long = doc("a"), doc("long enough")
    rejected = []
    kept = apply_filter(
        lambda document: too_short(document, min_chars=5),
        [short, long],
        lambda document, reason: rejected.append((document, reason)),
    )
    assert list(kept) == [long]
    assert rejected == [(short, "has 1 characters, fewer than 5")]


def verdicts(text):
    reasons = {name: rule(doc(text)) for name, rule in Curate().filters().items()}
    return {name for name, reason in reasons.items() if reason}


NOISE = random.Random(0).randbytes(200_000)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (PROSE, set()),
        ("def f(x):\n    return x\n", set()),
        ("", {"too short", "few letters"}),
        (NOISE.decode("latin-1"), {"control characters"}),
        (NOISE.decode("utf-8", "replace"), {"control characters"}),
        (base64.b64encode(NOISE).decode(), {"long line"}),
        (PROSE * 3, {"repetitive"}),
        ("".join(f"{n},{n * n},{n**3}\n" for n in range(99)), {"few letters"}),
    ],
    ids=["prose", "code", "empty", "binary", "mojibake", "base64", "repeated", "table"],
)
def test_the_default_limits_drop_what_they_are_meant_for(text, rules):
    assert verdicts(text) == rules


@pytest.mark.parametrize("module", ["encodings.cp1252", "stringprep", "bisect", "html.entities"])
def test_the_default_limits_keep_the_standard_librarys_strangest_modules(module):
    __import__(module)
    with tokenize.open(str(sys.modules[module].__file__)) as file:
        assert verdicts(file.read()) == set()
