import ast
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.curate.document import Document
from groundup.curate.normalize import Normalize, normalize_text
from groundup.curate.notes import Notes, not_written

TRICKY = st.text(st.sampled_from("a e\u0301\u212b\ufeff\0\r\n\t\f\u1161\u1100") | st.characters())


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("\ufeffa", "a\n"),
        ("a\ufeffb\n", "a\ufeffb\n"),  # in the middle it is another character
        ("a\0b", "ab\n"),
        ("a  \nb\t\n", "a\nb\n"),
        ("\n \n    a\n\n\nb\n\n", "    a\n\n\nb\n"),
        ("cafe\u0301", "caf\u00e9\n"),
        ("x² ﬁ Ⅳ", "x² ﬁ Ⅳ\n"),  # compatible, not equivalent
        ("a\n\x0cb\n", "a\n\x0cb\n"),
        (" \n\t", ""),
        ("", ""),
    ],
)
def test_what_reads_the_same_is_spelt_the_same(raw, normal):
    assert normalize_text(raw) == normal


@given(TRICKY)
def test_doing_it_twice_changes_nothing_more(text):
    once = normalize_text(text)
    assert normalize_text(once) == once


@given(TRICKY)
def test_the_result_is_in_nfc_without_carriage_returns_nul_or_trailing_blanks(text):
    normal = normalize_text(text)
    assert unicodedata.is_normalized("NFC", normal)
    assert not {"\0", "\r"} & set(normal)
    assert all(line == line.rstrip(" \t") for line in normal.split("\n"))
    assert normal == "" or normal[-1] == "\n" != normal[0]


@given(st.text(st.sampled_from("eéa\u0301\u0327\u212bǻﬁ"), min_size=1))
def test_python_identifiers_keep_their_identity(name):
    name = "x" + name
    normal = normalize_text(name).rstrip("\n")
    assert ast.dump(ast.parse(normal)) == ast.dump(ast.parse(name))


def test_documents_keep_everything_but_their_spelling():
    document = Document("a\r\n", "id", "source", {"k": 1})
    assert list(Normalize().apply([document], Notes("", not_written))) == [
        Document("a\n", "id", "source", {"k": 1})
    ]
