"""Examples of evaluations in the forms in which they are published."""

import bz2
import gzip
import json
from pathlib import Path

import pytest

from groundup.core.config import from_dict
from groundup.core.errors import ConfigError, InputError
from groundup.curate.decontaminate.examples import EvaluationSet, read_examples

ROW = {"id": 7, "question": "Why?", "choices": {"text": ["Yes", "No"], "label": ["A", "B"]}}


def read(path: Path, *fields: str) -> list[tuple[str, list[str]]]:
    return [tuple(one) for one in read_examples(EvaluationSet(path=str(path), fields=fields))]


def test_each_string_of_an_object_is_a_text(tmp_path: Path) -> None:
    line = json.dumps(ROW)
    (tmp_path / "set.jsonl").write_text(f"{line}\n\n{line}\n")
    texts = ["Why?", "Yes", "No", "A", "B"]
    assert read(tmp_path / "set.jsonl") == [("set.jsonl:1", texts), ("set.jsonl:3", texts)]
    some = read(tmp_path / "set.jsonl", "choices", "question")
    assert some[0] == ("set.jsonl:1", ["Yes", "No", "A", "B", "Why?"])
    (tmp_path / "set.json").write_text(json.dumps([ROW, ROW]))
    assert read(tmp_path / "set.json") == [("set.json:1", texts), ("set.json:2", texts)]


def test_a_row_of_csv_is_an_example(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text('"What, then?",one,"two\nlines",A\nWhich?,c,d,B\n')
    assert read(path) == [
        ("test.csv:1", ["What, then?", "one", "two\nlines", "A"]),
        ("test.csv:2", ["Which?", "c", "d", "B"]),
    ]
    path.write_text("question,answer\nWhich?,this\n")
    assert read(path, "answer") == [("test.csv:2", ["this"])]


def test_a_row_of_parquet_is_an_example(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([ROW]), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", "choices") == [("a.parquet:1", ["Yes", "No", "A", "B"])]


def test_a_folder_is_one_set_and_files_may_be_compressed(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.txt.bz2").write_bytes(bz2.compress(b"one\n\ntwo\n"))
    (folder / "sub" / "a.jsonl.gz").write_bytes(gzip.compress(b'\xef\xbb\xbf{"text": "three"}'))
    (folder / "README").write_text("not read")
    assert read(folder) == [
        ("b.txt.bz2:1", ["one\n"]),
        ("b.txt.bz2:3", ["two\n"]),
        ("sub/a.jsonl.gz:1", ["three"]),
    ]
    assert EvaluationSet(path=str(folder)).title == "set"
    assert EvaluationSet(path=str(folder / "sub" / "a.jsonl.gz")).title == "a"
    assert EvaluationSet(path=str(folder), name="mine").title == "mine"


def test_zstandard_is_read(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    (tmp_path / "a.txt.zst").write_bytes(zstandard.compress("zwölf\n".encode()))
    assert read(tmp_path / "a.txt.zst") == [("a.txt.zst:1", ["zwölf\n"])]


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("a.jsonl", b'{"text": "x"}\n{', ()),
        ("a.jsonl", b'{"text": "x"}', ("question",)),
        ("a.jsonl", b'["x"]', ("question",)),
        ("a.json", b"", ()),
        ("a.txt", b"\xff", ()),
        ("a.txt.gz", b"no gzip", ()),
        ("a.txt.gz", gzip.compress(b"cut short", mtime=0)[:-4], ()),
        ("a.txt.bz2", b"no bz2", ()),
        ("a.txt.zst", b"no zst", ()),
        ("a.json", b"[" * 100_000, ()),
        ("a.csv.gz", gzip.compress(b"a row\n" * 9)[:10] + b"damage" * 9, ()),
        ("a.csv", b"question\nWhy?\n", ("answer",)),
        ("a.parquet", b"PAR1", ()),
        ("a.bin", b"", ()),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, fields: tuple[str, ...]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"a\.\w+.* (cannot be read|holds no examples)"):
        read(tmp_path / name, *fields)


def test_a_path_that_is_not_there_is_refused_with_the_config() -> None:
    with pytest.raises(ConfigError, match="there is no file or folder nowhere"):
        from_dict(EvaluationSet, {"path": "nowhere"})


def test_cells_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x" * 200_000)
    assert read(tmp_path / "a.csv") == [("a.csv:1", ["x" * 200_000])]
