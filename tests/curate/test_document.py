import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import ArtifactError
from groundup.curate.document import Document, decode_document, encode_document, read_corpus

TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # what UTF-8 can hold
METADATA = st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT)


@given(st.builds(Document, text=TEXT, id=TEXT, source=TEXT, metadata=METADATA))
def test_a_document_survives_being_written_and_read(document):
    line = encode_document(document)
    assert decode_document(line) == document
    assert decode_document(line.encode("utf-8")) == document
    assert line.index("\n") == len(line) - 1


def test_a_line_is_json_with_four_fields():
    document = Document("Straße\n", "a.txt", "mine", {"licence": "CC0-1.0"})
    assert json.loads(encode_document(document)) == {
        "text": "Straße\n",
        "id": "a.txt",
        "source": "mine",
        "metadata": {"licence": "CC0-1.0"},
    }


def test_the_size_is_counted_in_bytes_of_utf8():
    assert Document("Straße", "a", "b").size == 7


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"text": 1, "id": "", "source": "", "metadata": {}}', '{"text": "a"}'],
)
def test_other_lines_are_no_documents(line):
    with pytest.raises(ValueError):  # noqa: PT011 (the sentence is read_corpus's)
        decode_document(line)


def test_a_corpus_is_read_in_order(tmp_path):
    documents = [Document(text, text, "s") for text in "cab"]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(map(encode_document, documents)), encoding="utf-8")
    assert list(read_corpus(path)) == documents


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(encode_document(Document("a", "a", "s")) + '{"text": "b', encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"train.jsonl, line 2 is no document"):
        list(read_corpus(path))


def test_a_missing_corpus_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="train.jsonl does not exist"):
        list(read_corpus(tmp_path / "train.jsonl"))
