import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.curate.formats import csv_rows
from groundup.curate.input_file import InputFile
from groundup.curate.readers import read_file
from groundup.curate.reading import Reading

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=20)


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_a_row_is_a_document(texts, name, separator):
    rows = [["id", "text"], ["one", "An oar."], ["", 'He said: "no",\nand; more']]
    file = io.StringIO()
    csv.writer(file, delimiter=separator).writerows(rows)
    expected = [("one", "An oar."), (f"{name}:2", 'He said: "no",\nand; more')]
    contents = file.getvalue().encode()
    assert texts(name, contents) == (expected, [])
    assert texts(name, b"\xef\xbb\xbf" + contents) == (expected, [])
    assert texts(name, file.getvalue().encode("utf-16")) == (expected, [])
    packed, _ = texts(name + ".gz", gzip.compress(contents))
    assert [text for _, text in packed] == [text for _, text in expected]


@given(st.lists(st.tuples(CELLS, CELLS), max_size=10))
def test_what_was_written_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "other"), *rows])
    documents = read_file(InputFile(path, "a", "test"), lambda *reject: pytest.fail(str(reject)))
    assert [document.text for document in documents] == [text for text, _ in rows]


def test_the_column_of_the_text_can_be_named(texts):
    assert texts("a.csv", b"body\nx\n", reading=Reading(text_field="body")) == (
        [("a.csv:1", "x")],
        [],
    )


def test_a_row_of_another_length_is_rejected_and_the_others_are_not(texts):
    documents, rejected = texts("a.csv", b"text,b\none,1\ntwo\n\nthree,3,3\nfour,4\n")
    assert documents == [("a.csv:1", "one"), ("a.csv:4", "four")]
    assert rejected == [
        ("a.csv:2", "is a row of 1 cells, where the first has 2"),
        ("a.csv:3", "is a row of 3 cells, where the first has 2"),
    ]


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "has no column 'text' (its columns: none)"),
        (b"label,body\n1,x\n", "has no column 'text' (its columns: label, body)"),
        (b"\x89PNG\0\0", "is no table that can be read (is binary, or not in UTF-8"),
        (b'text\n"' + b"x" * (17 << 20), "is no table that can be read (a line is longer than"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_file_that_is_no_table_is_rejected(texts, contents, reason):
    documents, [(rejected, why)] = texts("a.csv", contents)
    assert documents == []
    assert rejected == "a.csv"
    assert why.startswith(reason)


def test_a_line_that_does_not_end_is_no_table(texts, monkeypatch):
    monkeypatch.setattr(csv_rows, "_CELL_CHARS", 1000)
    documents, rejected = texts("a.csv", b"text\nshort\n" + b"x" * 5000)
    assert documents == [("a.csv:1", "short")]
    assert "a line is longer than 1,000 characters" in rejected[0][1]
