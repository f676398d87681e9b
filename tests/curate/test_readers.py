import json
import random

import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import MissingExtraError
from groundup.curate import readers
from groundup.curate.input_file import InputFile
from groundup.curate.readers import is_readable, read_file


@pytest.fixture
def read(tmp_path):
    def read(name, contents, **options):
        path = tmp_path / name
        path.write_bytes(contents)
        rejected = []
        file = InputFile(path, name, "test", **options)
        documents = read_file(file, lambda document, reason: rejected.append((document.id, reason)))
        return [(document.id, document.text) for document in documents], rejected

    return read


def lines(*objects):
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in objects).encode()


@pytest.mark.parametrize("name", ["a.txt", "A.TXT", "b.md", "c.py"])
def test_a_text_file_is_one_document(read, name):
    assert read(name, "Grüße\r\n".encode()) == ([(name, "Grüße\r\n")], [])
    assert read(name, b"") == ([(name, "")], [])
    assert read(name, b"\xef\xbb\xbfa") == ([(name, "a")], [])


def test_python_source_is_decoded_as_it_declares(read):
    source = "# -*- coding: latin-1 -*-\nname = 'Grüße'\n"
    assert read("a.py", source.encode("latin-1")) == ([("a.py", source)], [])


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("a.txt", b"\x7fELF\0\0\0", "binary"),
        ("a.txt", "text".encode("utf-16"), "binary, or not in UTF-8"),
        ("a.txt", b"caf\xe9 au lait", "not valid utf-8"),
        ("a.py", b"# coding: no-such-encoding\n", "no usable encoding"),
        ("a.py", b"x = 'caf\xe9'\n", "no usable encoding"),
        ("a.py", b"# coding: ascii\n\n\nx = 'caf\xe9'\n", "not valid ascii"),
        ("a.parquet", b"PAR1 but not for long", "not valid Parquet"),
        ("a.parquet", b"", "not valid Parquet"),
        ("a.jsonl.zst", b"not compressed", "damaged or cut short"),
    ],
)
def test_a_file_that_cannot_be_read_is_rejected_with_the_reason(read, name, contents, reason):
    documents, [(rejected, why)] = read(name, contents)
    assert documents == []
    assert rejected == name
    assert reason in why


def test_a_file_that_vanished_is_rejected(tmp_path):
    rejected = []
    file = InputFile(tmp_path / "gone.txt", "gone.txt", "test")
    assert list(read_file(file, lambda _document, reason: rejected.append(reason))) == []
    assert rejected == ["cannot be read (No such file or directory)"]


def test_a_text_too_long_for_memory_comes_in_parts(read, monkeypatch):
    monkeypatch.setattr(readers, "_TEXT_CHARS", 100)
    chance = random.Random(0)
    text = "".join(chance.choice(["word ", "é", "\n", "\n\n"]) for _ in range(1000))
    documents, rejected = read("a.txt", text.encode())
    assert "".join(part for _, part in documents) == text
    assert [name for name, _ in documents] == [f"a.txt#{n + 1}" for n in range(len(documents))]
    assert all(len(part) <= 100 for _, part in documents)
    assert len(documents) > 10
    assert rejected == []


def test_a_json_line_is_a_document(read):
    contents = (
        lines({"text": "a\n"}, {"text": "é", "id": "named"}) + b"\n  \n" + lines({"text": ""})
    )
    expected = [("a.jsonl:1", "a\n"), ("named", "é"), ("a.jsonl:5", "")]
    assert read("a.jsonl", contents) == (expected, [])
    assert read("a.jsonl", contents[:-1]) == (expected, [])
    assert read("a.jsonl", b"\xef\xbb\xbf" + contents) == (expected, [])
    assert read("a.jsonl", b"") == ([], [])


def test_the_field_of_the_text_can_be_named(read):
    assert read("a.jsonl", lines({"body": "a"}), text_field="body") == ([("a.jsonl:1", "a")], [])


def test_metadata_is_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines({"text": "a", "metadata": {"licence": "MIT"}}, {"text": "b"}))
    documents = read_file(InputFile(path, "a", "s"), lambda *_: None)
    assert [document.metadata for document in documents] == [{"licence": "MIT"}, {}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "is not valid JSON"),
        (b'{"text": "caf\xe9"}', "is not valid utf-8"),
        (b"[1]", "is not a JSON object"),
        (
            b'{"body": "a", "title": "b"}',
            "has no string field 'text' (its fields: 'body', 'title')",
        ),
        (b'{"text": 7}', "has no string field 'text'"),
        (b'{"text": "\\ud800"}', "holds half of a surrogate pair"),
        (b'{"text": "a", "metadata": {"k": "\\udc00"}}', "holds half of a surrogate pair"),
        (b'{"\\ud800": "a"}', "has no string field 'text'"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"text": ' + b"9" * 5000 + b"}", "integer string conversion"),
    ],
    ids=lambda value: repr(value)[:25],
)
def test_a_line_that_cannot_be_read_is_rejected_and_the_others_are_not(read, line, reason):
    contents = lines({"text": "a"}) + line + b"\n" + lines({"text": "c"})
    documents, [(rejected, why)] = read("a.jsonl", contents)
    assert documents == [("a.jsonl:1", "a"), ("a.jsonl:3", "c")]
    assert rejected == "a.jsonl:2"
    assert reason in why
    (rejected + why).encode("utf-8")


def test_whole_surrogate_pairs_are_characters(read):
    contents = b'{"text": "\\ud83d\\ude00"}\n'
    assert read("a.jsonl", contents) == ([("a.jsonl:1", "\N{GRINNING FACE}")], [])


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_an_enormous_line_is_rejected_without_being_held(read, monkeypatch, chunk):
    monkeypatch.setattr(readers, "_LINE_BYTES", 50)
    monkeypatch.setattr(readers, "_READ_BYTES", chunk)
    enormous = lines({"text": "b" * 100})
    contents = lines({"text": "a"}) + enormous + lines({"text": "c"}) + enormous[:-1]
    documents, rejected = read("a.jsonl", contents)
    assert documents == [("a.jsonl:1", "a"), ("a.jsonl:3", "c")]
    assert rejected == [(f"a.jsonl:{n}", "is a line of more than 50 bytes") for n in (2, 4)]


@given(st.lists(st.binary(max_size=20)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(chunks):
    expected = b"".join(chunks).split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert list(readers._lines(chunks)) == expected


def test_compressed_lines_read_like_plain_ones(read):
    contents = lines(*({"text": str(n) * 50} for n in range(1000)))
    frames = [zstandard.compress(part) for part in (contents[:5000], b"", contents[5000:])]
    plain, _ = read("a.jsonl", contents)
    compressed, rejected = read("a.jsonl.zst", b"".join(frames))
    assert [text for _, text in compressed] == [text for _, text in plain]
    assert rejected == []


def test_a_compressed_file_that_was_cut_short_says_so(read):
    text = random.Random(0).randbytes(50_000).hex()
    whole = zstandard.compress(lines(*({"text": text[n : n + 50]} for n in range(0, 50_000, 50))))
    documents, rejected = read("a.jsonl.zst", whole[:-10_000])
    assert documents == [] or documents[0][1] == text[:50]
    assert rejected[-1] == ("a.jsonl.zst", "is damaged or cut short (the last frame is not whole)")


def parquet(tmp_path, **columns):
    path = tmp_path / "table"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path.read_bytes()


def test_a_parquet_row_is_a_document(read, tmp_path):
    contents = parquet(tmp_path, text=["a", "é", None], other=[1, 2, 3])
    documents, rejected = read("a.parquet", contents)
    assert documents == [("a.parquet:1", "a"), ("a.parquet:2", "é")]
    assert rejected == [("a.parquet:3", "has no string in 'text'")]
    contents = parquet(tmp_path, body=["a", "b"], id=["x", None])
    documents, _ = read("a.parquet", contents, text_field="body")
    assert documents == [("x", "a"), ("a.parquet:2", "b")]


def test_a_parquet_file_without_the_column_names_those_it_has(read, tmp_path):
    _, [(_, reason)] = read("a.parquet", parquet(tmp_path, body=["a"], title=["b"]))
    assert reason == "has no column 'text' (its columns: body, title)"


@pytest.mark.parametrize(
    ("name", "package"), [("a.parquet", "pyarrow"), ("a.jsonl.zst", "zstandard")]
)
def test_a_missing_package_is_named_with_its_remedy(read, monkeypatch, name, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'groundup\[curate\]'"):
        read(name, b"")


def test_readable_files_are_told_by_their_suffix():
    assert all(map(is_readable, ["a.txt", "a.md", "a.py", "a.jsonl", "a.jsonl.zst", "a.Parquet"]))
    assert not any(map(is_readable, ["a.png", "a.zst", "txt", "a.json", "a.txt.gz"]))
