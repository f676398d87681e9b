import gzip
import io
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.curate.formats.conftest import Read

from groundup.curate.formats import text
from groundup.curate.input_file import InputFile
from groundup.curate.readers import read_file

GERMAN = "Der Fährmann wartete am Ufer, bis die Flut kam; dann ruderte er die Gäste zurück.\n" * 3
RUSSIAN = "Паромщик ждал на берегу, пока не начался прилив, а потом отвёз гостей обратно.\n" * 3
JAPANESE = "渡し守は岸で潮が満ちるのを待ち、それから客を乗せて戻っていった。\n" * 3


@pytest.mark.parametrize("name", ["a.txt", "A.TXT", "b.md", "b.rst", "b.tex", "c.py"])
def test_a_text_file_is_one_document(read: Read, name: str) -> None:
    for contents, expected in [
        ("Grüße\r\n".encode(), "Grüße\r\n"),
        (b"", ""),
        (b"\xef\xbb\xbfa", "a"),
    ]:
        documents, rejected = read(name, contents)
        assert ([(document.id, document.text) for document in documents], rejected) == (
            [(name, expected)],
            [],
        )
        assert "encoding" not in documents[0].metadata


def test_front_matter_stays(read: Read) -> None:
    page = "---\ntitle: The ferry\n---\n\n# The ferry\n"
    documents, _ = read("a.md", page.encode())
    assert documents[0].text == page


def test_python_source_is_decoded_as_it_declares(read: Read) -> None:
    source = "# -*- coding: latin-1 -*-\nname = 'Grüße'\n"
    documents, rejected = read("a.py", source.encode("latin-1"))
    assert ([(document.id, document.text) for document in documents], rejected) == (
        [("a.py", source)],
        [],
    )


@pytest.mark.parametrize(
    ("whole", "encoding", "named"),
    [
        (GERMAN, "utf-16", "utf-16"),
        (GERMAN, "utf-32", "utf-32"),
        (GERMAN, "cp1252", "cp1252"),
        (GERMAN, "latin-1", "cp1252"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (RUSSIAN, "cp1251", "cp1251"),
        (JAPANESE, "shift_jis", "cp932"),
        (JAPANESE, "euc_jp", "euc_jp"),
    ],
)
def test_other_encodings_are_told(read: Read, whole: str, encoding: str, named: str) -> None:
    ((document,), rejected) = read("a.txt", whole.encode(encoding))
    assert document.text == whole
    assert document.metadata == {"encoding": named}
    assert rejected == []


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_both_orders_of_bytes(read: Read, mark: bytes) -> None:
    order = "utf-16-le" if mark[0] == 0xFF else "utf-16-be"
    ((document,), _) = read("a.txt", mark + GERMAN.encode(order))
    assert document.text == GERMAN


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("a.txt", b"\x7fELF\0\0\0", "is binary, or not in UTF-8 (it holds NUL bytes)"),
        ("a.txt", "text".encode("utf-16-le"), "is binary, or not in UTF-8"),
        ("a.txt", b"\xff\xfet\0e", "is not valid utf-16-le (truncated data)"),
        ("a.txt", b"\xff\xfe\0\xd8a\0", "is not valid utf-16-le (illegal UTF-16 surrogate)"),
        ("a.txt", b"a\x81\x8d\x8f\x90\x9d b", "is not valid utf-8 (invalid start byte), nor"),
        ("a.py", b"# coding: no-such-encoding\n", "has no usable encoding"),
        ("a.py", b"x = 'caf\xe9'\n", "has no usable encoding"),
        ("a.py", b"# coding: ascii\n\n\nx = 'caf\xe9'\n", "is not valid ascii"),
        ("a.txt.gz", b"not compressed", "is damaged or cut short (Not a gzipped file"),
        (
            "a.txt.gz",
            gzip.compress(b"text" * 99, mtime=0)[:-9],
            "is damaged or cut short (Compressed file",
        ),
    ],
)
def test_what_is_no_text_is_rejected(read: Read, name: str, contents: bytes, reason: str) -> None:
    documents, [(rejected, why)] = read(name, contents)
    assert documents == []
    assert rejected == name
    assert why.startswith(reason)


def test_without_resiliparse_only_utf8_is_read(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resiliparse.parse.encoding", None)
    documents, [(_, why)] = read("a.txt", GERMAN.encode("latin-1"))
    assert documents == []
    assert why.startswith("is not valid utf-8 (invalid continuation byte)")


def test_a_compressed_text_reads_like_a_plain_one(read: Read) -> None:
    documents, rejected = read("a.txt.gz", gzip.compress(GERMAN.encode()))
    assert ([(document.id, document.text) for document in documents], rejected) == (
        [("a.txt.gz", GERMAN)],
        [],
    )


def test_a_file_that_vanished_is_rejected(tmp_path):
    rejected = []
    for name in ("gone.txt", "gone.jsonl", "gone.csv", "gone.arrow", "gone.ipynb", "gone.pdf"):
        file = InputFile(tmp_path / name, name, "test")
        assert list(read_file(file, lambda _document, reason: rejected.append(reason))) == []
    assert set(rejected) == {"cannot be read (No such file or directory)"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_text_too_long_for_memory_comes_in_parts(
    read: Read, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(text, "_TEXT_CHARS", 100)
    chance = random.Random(0)
    whole = "".join(chance.choice(["word ", "é", "\n", "\n\n"]) for _ in range(1000))
    documents, rejected = read("a.txt", whole.encode(encoding))
    assert "".join(document.text for document in documents) == whole
    names = [document.id for document in documents]
    assert names == [f"a.txt#{n + 1}" for n in range(len(documents))]
    assert all(len(document.text) <= 100 for document in documents)
    assert len(documents) > 10
    assert rejected == []


@given(st.text(), st.integers(1, 20))
def test_a_character_may_be_cut_in_two_where_encodings_are_told(whole: str, looked_at: int) -> None:
    """What is looked at is the beginning; valid UTF-8 is never taken for anything else."""
    raw = io.BytesIO(whole.replace("\0", "").encode("utf-8", "replace"))
    before = text._LOOKED_AT
    text._LOOKED_AT = looked_at
    try:
        assert text.text_encoding(raw, "a.txt") == "utf-8-sig"
        assert raw.tell() == 0
    finally:
        text._LOOKED_AT = before


@pytest.mark.parametrize("codec", ["rot13", "hex", "utf-7", "unicode_escape", "idna"])
def test_python_that_declares_what_is_no_encoding_of_text_is_rejected(
    read: Read, codec: str
) -> None:
    documents, rejected = read("a.py", f"# coding: {codec}\nx = 1\n".encode())
    assert documents == []
    assert "has no usable encoding" in rejected[0][1]


@pytest.mark.parametrize("codec", ["latin-1", "ascii", "koi8-r", "cp1252", "utf-8"])
def test_python_in_encodings_of_text_is_read(read: Read, codec: str) -> None:
    documents, _ = read("a.py", f"# coding: {codec}\nx = 1\n".encode())
    assert documents[0].text.endswith("x = 1\n")
