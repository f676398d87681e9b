import io
import sys

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest

from groundup.core.errors import MissingExtraError
from groundup.curate.reading import Reading


def parquet(**columns):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def arrow(new, **columns):
    file = io.BytesIO()
    table = pyarrow.table(columns)
    with new(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return file.getvalue()


def stream(**columns):
    """As `datasets` of Hugging Face saves to the disk."""
    return arrow(pyarrow.ipc.new_stream, **columns)


def arrow_file(**columns):
    return arrow(pyarrow.ipc.new_file, **columns)


KINDS = pytest.mark.parametrize(
    ("name", "table"), [("a.parquet", parquet), ("a.arrow", stream), ("b.arrow", arrow_file)]
)


@KINDS
def test_a_row_is_a_document(texts, name, table):
    documents, rejected = texts(name, table(text=["a", "é", None], other=[1, 2, 3]))
    assert documents == [(f"{name}:1", "a"), (f"{name}:2", "é")]
    assert rejected == [(f"{name}:3", "has no string in 'text'")]
    contents = table(body=["a", "b", "c"], id=["x", None, "z"])
    documents, _ = texts(name, contents, reading=Reading(text_field="body"))
    assert documents == [("x", "a"), (f"{name}:2", "b"), ("z", "c")]


@KINDS
def test_a_file_without_the_column_names_those_it_has(texts, name, table):
    documents, [(_, reason)] = texts(name, table(body=["a"], title=["b"]))
    assert documents == []
    assert reason == "has no column 'text' (its columns: body, title)"


@KINDS
def test_wherever_a_file_is_cut_off_it_is_read_or_rejected(texts, name, table):
    whole = table(text=[f"text {n}" for n in range(20)], id=[f"{n}" for n in range(20)])
    for length in range(0, len(whole), 10):
        documents, rejected = texts(name, whole[:length])
        assert len(documents) < 20 or length > len(whole) - 100
        assert len(documents) == 20 or rejected
        assert [text for _, text in documents] == [f"text {n}" for n in range(len(documents))]


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("a.parquet", b"PAR1 but not for long", "is not valid Parquet"),
        ("a.parquet", b"", "is not valid Parquet"),
        ("a.arrow", b"", "is not valid Arrow"),
        ("a.arrow", b"no table at all", "is not valid Arrow"),
        ("a.arrow", b"ARROW1 but not for long", "is not valid Arrow"),
    ],
)
def test_a_file_that_is_no_table_is_rejected(texts, name, contents, reason):
    documents, [(rejected, why)] = texts(name, contents)
    assert documents == []
    assert rejected == name
    assert why.startswith(reason)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_missing_package_is_named_with_its_remedy(texts, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'groundup\[curate\]'"):
        texts(name, b"")
