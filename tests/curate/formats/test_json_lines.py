import gzip
import json
import random
import sys

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.curate.formats.conftest import Read

from groundup.core.errors import MissingExtraError
from groundup.curate.document import Document, encode_document
from groundup.curate.formats import json_lines, streams
from groundup.curate.reading import Reading


def lines(*objects):
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in objects).encode()


def test_a_json_line_is_a_document(texts):
    contents = (
        lines({"text": "a\n"}, {"text": "é", "id": "named"}) + b"\n  \n" + lines({"text": ""})
    )
    expected = [("a.jsonl:1", "a\n"), ("named", "é"), ("a.jsonl:5", "")]
    assert texts("a.jsonl", contents) == (expected, [])
    assert texts("a.jsonl", contents[:-1]) == (expected, [])
    assert texts("a.jsonl", b"\xef\xbb\xbf" + contents) == (expected, [])
    assert texts("a.jsonl", b"") == ([], [])


def test_the_field_of_the_text_can_be_named(texts):
    assert texts("a.jsonl", lines({"body": "a"}), reading=Reading(text_field="body")) == (
        [("a.jsonl:1", "a")],
        [],
    )


def test_metadata_is_kept(read: Read) -> None:
    documents, _ = read("a.jsonl", lines({"text": "a", "metadata": {"k": 1}}, {"text": "b"}))
    assert [document.metadata for document in documents] == [{"k": 1}, {}]


def test_what_curation_wrote_is_read_as_it_was(read: Read) -> None:
    written = [
        Document("one\n", "notes/a.txt#2", "notes", {"licence": "MIT", "url": "x"}),
        Document("zwei", "b", "stdlib", {}),
    ]
    documents, _ = read("train.jsonl", "".join(map(encode_document, written)).encode())
    assert documents == written


@pytest.mark.parametrize("more", [{}, {"metadata": "none"}, {"metadata": {}, "source": 7}])
def test_a_source_of_another_kind_is_none(read: Read, more: dict[str, object]) -> None:
    documents, _ = read("a.jsonl", lines({"text": "a", "source": "web", **more}))
    assert [document.source for document in documents] == ["test"]


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
def test_a_line_that_cannot_be_read_is_rejected_and_the_others_are_not(texts, line, reason):
    contents = lines({"text": "a"}) + line + b"\n" + lines({"text": "c"})
    documents, [(rejected, why)] = texts("a.jsonl", contents)
    assert documents == [("a.jsonl:1", "a"), ("a.jsonl:3", "c")]
    assert rejected == "a.jsonl:2"
    assert reason in why
    (rejected + why).encode("utf-8")


def test_whole_surrogate_pairs_are_characters(texts):
    contents = b'{"text": "\\ud83d\\ude00"}\n'
    assert texts("a.jsonl", contents) == ([("a.jsonl:1", "\N{GRINNING FACE}")], [])


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_an_enormous_line_is_rejected_without_being_held(texts, monkeypatch, chunk):
    monkeypatch.setattr(json_lines, "_LINE_BYTES", 50)
    monkeypatch.setattr(streams, "_READ_BYTES", chunk)
    enormous = lines({"text": "b" * 100})
    contents = lines({"text": "a"}) + enormous + lines({"text": "c"}) + enormous[:-1]
    documents, rejected = texts("a.jsonl", contents)
    assert documents == [("a.jsonl:1", "a"), ("a.jsonl:3", "c")]
    assert rejected == [(f"a.jsonl:{n}", "is a line of more than 50 bytes") for n in (2, 4)]


@given(st.lists(st.binary(max_size=20)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(chunks):
    expected = b"".join(chunks).split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert list(json_lines._lines(chunks)) == expected


def test_compressed_lines_read_like_plain_ones(texts):
    contents = lines(*({"text": str(n) * 50} for n in range(1000)))
    frames = [zstandard.compress(part) for part in (contents[:5000], b"", contents[5000:])]
    plain, _ = texts("a.jsonl", contents)
    for name, packed in [
        ("a.jsonl.zst", b"".join(frames)),
        ("a.jsonl.gz", gzip.compress(contents[:5000]) + gzip.compress(contents[5000:])),
    ]:
        compressed, rejected = texts(name, packed)
        assert [text for _, text in compressed] == [text for _, text in plain]
        assert rejected == []


@pytest.mark.parametrize(
    ("name", "pack", "reason"),
    [
        ("a.jsonl.zst", zstandard.compress, "the last frame is not whole"),
        ("a.jsonl.gz", gzip.compress, "Compressed file ended before the end-of-stream marker"),
    ],
)
def test_a_compressed_file_that_was_cut_short_says_so(texts, name, pack, reason):
    text = random.Random(0).randbytes(50_000).hex()
    whole = pack(lines(*({"text": text[n : n + 50]} for n in range(0, 50_000, 50))))
    documents, rejected = texts(name, whole[:-10_000])
    assert documents == [] or documents[0][1] == text[:50]
    assert rejected[-1][0] == name
    assert rejected[-1][1].startswith(f"is damaged or cut short ({reason}")


@pytest.mark.parametrize("name", ["a.jsonl.zst", "a.jsonl.gz"])
def test_what_is_not_compressed_is_rejected(texts, name):
    documents, [(_, reason)] = texts(name, b"not compressed")
    assert documents == []
    assert reason.startswith("is damaged or cut short (")


def test_a_missing_package_is_named_with_its_remedy(texts, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'groundup\[curate\]'"):
        texts("a.jsonl.zst", b"")
