"""The benchmark of curation: on small sets made here, what is found is what is there."""

import json
import random
from pathlib import Path

import pytest

from groundup.bench.curate import bench_curate
from groundup.bench.near_duplicates import editions
from groundup.bench.personal_data import personal_data
from groundup.bench.result import OURS
from groundup.core.errors import InputError

pytest.importorskip("resiliparse")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Texts of words drawn at random, and sentences in two languages of other letters."""
    draw = random.Random(0)
    (tmp_path / "text").mkdir()
    words = (str(draw.randrange(100_000)) for _ in range(200_000))
    (tmp_path / "text" / "numbers.txt").write_text(" ".join(words), encoding="utf-8")
    (tmp_path / "langid").mkdir()
    for name, letters in (("ab", "abcdef"), ("uv", "uvwxyz")):
        lines = ["".join(draw.choices(letters, k=30)) for _ in range(200)]
        path = tmp_path / "langid" / f"{name}.sentences.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "pii").mkdir()
    (tmp_path / "pii" / "sentences.json").write_text(json.dumps(SENTENCES), encoding="utf-8")
    return tmp_path


def labelled(text: str, datum: str, kind: str) -> dict[str, object]:
    begin = text.index(datum)
    span = {"entity_type": kind, "start_position": begin, "end_position": begin + len(datum)}
    return {"full_text": text, "spans": [span]}


SENTENCES = [
    labelled("Write to ada@example.org.", "ada@example.org", "EMAIL_ADDRESS"),
    labelled("I am bo@example.org", "bo@example.org", "EMAIL_ADDRESS"),
    labelled("Ask Cleo at cleo@example.org", "Cleo", "PERSON"),
    *(
        labelled(f"No. {n}: n{n}@example.org", f"n{n}@example.org", "EMAIL_ADDRESS")
        for n in range(9)
    ),
]


def test_what_is_found_is_what_is_there(data: Path) -> None:
    result = bench_curate(data, quick=True)
    assert result["absent"] == ["html-articles", "hate-speech"]
    rows = [row for row in result["rows"] if row["subject"] == OURS]
    rows = [row for row in rows if "personal data" not in row["case"]]
    values = {row["metric"]: row["value"] for row in rows}
    assert values["recall"] >= 0.99
    assert values["precision"] >= 0.99
    assert values["similar pairs"] > 0
    assert values["accuracy"] == 1
    assert all(row["value"] > 0 for row in rows)


def test_labels_of_personal_data_are_counted_by_kind(data: Path) -> None:
    rows = personal_data(data / "pii", quick=True)
    email = {row["metric"]: row["value"] for row in rows if "email: 11 labels" in row["case"]}
    assert email["recall"] == email["recall, not seen"] == 1
    assert min(email["precision"], email["precision, not seen"]) < 1  # Cleo's has no label
    assert max(email["precision"], email["precision, not seen"]) == 1
    others = [row for row in rows if "no mask" in row["case"]]
    assert [(row["metric"], row["value"]) for row in others] == [("PERSON", 1)]
    assert [row["value"] > 0 for row in rows if row["unit"] == "MB/s"] == [True, True]


def test_chapters_of_a_second_edition_are_found(data: Path) -> None:
    book = [f"CHAPTER {n}\n\n{'a long line of words ' * 50}{n} " * 3 for n in range(1, 4)]
    for folder, chapters in (("new", book), ("old", ["CHAPTER 1\n\nshort", *book])):
        (data / "text" / folder).mkdir()
        (data / "text" / folder / "book.txt").write_text("\n".join(chapters), encoding="utf-8")
    values = {row["metric"]: row["value"] for row in editions(data / "text")}
    assert values["versions found"] == 3
    assert values["recall"] == 1


EDITIONS = Path(__file__).parents[3] / "shared" / "data" / "text"


@pytest.mark.skipif(not EDITIONS.is_dir(), reason="../shared/data/text is not here")
def test_chapters_of_real_older_editions_are_found() -> None:
    values = {row["metric"]: row["value"] for row in editions(EDITIONS)}
    assert values["versions found"] == values["similar pairs"] == 27 + 55 + 61 + 12
    assert values["recall"] == values["precision"] == 1


def test_a_folder_without_any_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none of the sets html-articles"):
        bench_curate(tmp_path, quick=True)
