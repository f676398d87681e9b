import gzip
import json

import pytest

from groundup.curate.formats import json_array, streams


def array(*entries):
    return json.dumps(entries).encode()


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_an_entry_is_a_document(texts, name):
    entries = [{"text": "one"}, "two", {"text": "drei", "id": "named"}]
    expected = [(f"{name}:1", "one"), (f"{name}:2", "two"), ("named", "drei")]
    pack = gzip.compress if name.endswith("gz") else bytes
    assert texts(name, pack(array(*entries))) == (expected, [])
    assert texts(name, pack(json.dumps(entries, indent=2).encode())) == (expected, [])
    assert texts(name, pack(b"\xef\xbb\xbf \n" + array(*entries))) == (expected, [])
    assert texts(name, pack(b"[]")) == ([], [])


def test_json_lines_have_that_name_too(texts):
    contents = b'{"text": "one"}\n\n{"text": "two"}\nnot JSON\n'
    documents, [(rejected, reason)] = texts("a.json", contents)
    assert documents == [("a.json:1", "one"), ("a.json:3", "two")]
    assert rejected == "a.json:4"
    assert reason.startswith("is not valid JSON")
    assert texts("a.json", b'{"text": "one"}') == ([("a.json:1", "one")], [])


def test_a_first_line_longer_than_what_is_read_at_once(texts, monkeypatch):
    monkeypatch.setattr(streams, "_READ_BYTES", 50)
    contents = json.dumps({"text": "x" * 200}).encode() + b'\n{"text": "y"}\n'
    assert texts("a.json", contents) == ([("a.json:1", "x" * 200), ("a.json:2", "y")], [])


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "is no array of objects or strings, and no JSON lines"),
        (b'{\n  "name": "package",\n  "version": 1\n}\n', "is no array of objects or strings"),
        (b'"text"', "is no array of objects or strings"),
        (b'[{"text": "a"}', "is not valid JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'["caf\xe9"]', "is not valid utf-8"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_file_that_cannot_be_read_is_rejected(texts, contents, reason):
    documents, [(rejected, why)] = texts("a.json", contents)
    assert documents == []
    assert rejected == "a.json"
    assert why.startswith(reason)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (b"7", "is not a JSON object"),
        (b'{"body": "a"}', "has no string field 'text' (its fields: 'body')"),
        (b'"\\ud800"', "holds half of a surrogate pair"),
        (b'{"text": "\\ud800"}', "holds half of a surrogate pair"),
    ],
)
def test_an_entry_that_cannot_be_read_is_rejected_and_the_others_are_not(texts, entry, reason):
    documents, rejected = texts("a.json", b'["a", ' + entry + b', "c"]')
    assert documents == [("a.json:1", "a"), ("a.json:3", "c")]
    assert rejected == [("a.json:2", reason)]


def test_a_large_array_is_rejected_with_the_remedy(texts, monkeypatch):
    monkeypatch.setattr(json_array, "_ARRAY_BYTES", 1000)
    reason = "is an array of more than 1,000 bytes: write JSON lines (.jsonl)"
    assert texts("a.json", array("x" * 2000)) == ([], [("a.json", reason)])
