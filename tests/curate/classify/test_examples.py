"""Labelled texts: read from files, cut from documents, divided into two sides."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

from groundup.core.errors import InputError
from groundup.curate.classify.examples import (
    Example,
    read_examples,
    reference_examples,
    split_examples,
)
from groundup.curate.document import Document


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_json_lines_and_tables_hold_the_same(tmp_path: Path) -> None:
    rows = [("one, two", "a"), ('say "no"\nplease', "b")]
    lines = "\n\n".join(json.dumps({"text": t, "label": label, "id": 1}) for t, label in rows)
    cells = [(t.replace('"', '""'), label) for t, label in rows]
    for name, content in {
        "a.jsonl": lines,
        "a.csv": "\ufefflabel,text\n" + "\n".join(f'{label},"{t}"' for t, label in cells),
        "a.tsv": "text\tlabel\n" + "\n".join(f'"{t}"\t{label}' for t, label in cells),
    }.items():
        found = read_examples(write(tmp_path / name, content), "text", "label")
        assert [(example.text, example.label) for example in found] == rows


def test_fields_may_be_others_and_inside_others(tmp_path: Path) -> None:
    row = {"tweet": "hm", "metadata": {"class": 0, "fine": True}}
    path = write(tmp_path / "a.jsonl", json.dumps(row))
    assert read_examples(path, "tweet", "metadata.class")[0][:2] == ("hm", "0")
    assert read_examples(path, "tweet", "metadata.fine")[0][:2] == ("hm", "true")


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n" + "x" * 200_000 + ",a\n")
    assert len(read_examples(path, "text", "label")[0].text) == 200_000


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", "", "a.txt is no file of labelled texts: .jsonl, .csv and .tsv are read."),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": "a"}', "line 2 has no 'label': choose"),
        ("a.jsonl", '{"text": 5, "label": "b"}', "line 1 has no 'text'"),
        ("a.jsonl", "{", "line 1 is not valid JSON"),
        ("a.jsonl", "[1]", "line 1 is not a JSON object"),
        ("a.jsonl", r'{"text": "\ud800", "label": "b"}', "is no UTF-8 .surrogates not allowed"),
        ("a.csv", "tweet,label\na,b", r"line 2 has no 'text': .*\(its fields: tweet, label\)"),
        ("a.csv", 'text,label\n"a,b', "line 2 has no 'label'"),
    ],
)
def test_what_cannot_be_learned_from_is_one_sentence(
    name: str, content: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        read_examples(write(tmp_path / name, content), "text", "label")


def test_bytes_that_are_no_utf8_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\n\xff,a\n")
    with pytest.raises(InputError, match="a.csv is no UTF-8"):
        read_examples(tmp_path / "a.csv", "text", "label")


def prose(name: str, words: int) -> Document:
    draw = random.Random(name)
    text = " ".join("".join(draw.choices("abcdefgh", k=5)) for _ in range(words))
    return Document(text, name, "s")


def test_both_sides_have_pieces_of_like_length_and_number() -> None:
    """A book of 60 KB against 200 pages of 3 KB."""
    book, pages = [prose("book", 10_000)], [prose(f"page {n}", 500) for n in range(200)]
    examples = reference_examples([book], [pages], most=10_000, seed=0)
    lengths: dict[str, list[int]] = {"positive": [], "negative": []}
    for example in examples:
        lengths[example.label].append(len(example.text))
    assert len(lengths["positive"]) == len(lengths["negative"]) > 50
    assert mean(lengths["positive"]) == pytest.approx(mean(lengths["negative"]), rel=0.05)
    assert min(map(min, lengths.values())) >= 500
    assert max(map(max, lengths.values())) <= 1000


def test_of_short_documents_all_is_as_short() -> None:
    tweets, pages = (
        [prose(f"t{n}", 20) for n in range(50)],
        [prose(f"p{n}", 300) for n in range(50)],
    )
    examples = reference_examples([tweets], [pages], most=100, seed=0)
    assert Counter(example.label for example in examples) == {"positive": 50, "negative": 50}
    assert {len(example.text) > 130 for example in examples} == {False}


def test_sources_are_read_no_further_than_needed() -> None:
    read = []

    def endless(name: str) -> Iterator[Document]:
        for number in range(10**9):
            read.append(name)
            yield prose(f"{name} {number}", 500)

    examples = reference_examples([endless("a"), endless("b")], [endless("c")], most=20, seed=0)
    assert len(examples) == 40
    assert Counter(read) == {"a": 17, "b": 17, "c": 34}  # five times 20 pieces of 1 KB


def test_a_side_without_text_is_one_sentence() -> None:
    with pytest.raises(InputError, match="the negative side has no text"):
        reference_examples([[prose("a", 50)]], [[Document(" \n", "b", "s")]], most=10, seed=0)


def test_texts_of_one_document_stay_together() -> None:
    examples = [
        Example(f"text {n}", label, f"{label} {n // 5}") for label in "ab" for n in range(100)
    ]
    training, held_out = split_examples(examples, 0.2, seed=0)
    assert len(training) + len(held_out) == 200
    assert not {e.document for e in training} & {e.document for e in held_out}
    assert Counter(example.label for example in held_out) == {"a": 20, "b": 20}
    assert split_examples(examples, 0.2, seed=0) == (training, held_out)
    assert split_examples(examples, 0.2, seed=1) != (training, held_out)


def test_rare_labels_are_held_out_where_they_can_be() -> None:
    examples = [Example("x", "a", "1"), Example("y", "a", "2"), Example("z", "b", "3")]
    training, held_out = split_examples(examples, 0.1, seed=0)
    assert [example.label for example in held_out] == ["a"]
    assert {example.label for example in training} == {"a", "b"}
