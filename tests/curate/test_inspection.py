"""What there is to see of a run: the samples are of the run, and the same again."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.curate.test_curation import (
    COARSE,
    EVERYTHING,
    Interrupted,
    contents,
    kept,
    rejected,
    run,
    texts_with_repeats,
    write_texts,
)

from groundup.core.config import load_config
from groundup.core.errors import ArtifactError, InputError
from groundup.curate import drawing
from groundup.curate.curation import INSPECTION, Curation
from groundup.curate.duplicates.changes import Piece
from groundup.curate.duplicates.shingles import jaccard, shingles
from groundup.curate.inspection import Inspection, inspect_curation


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(EVERYTHING, write_texts(folder / "in", texts_with_repeats()), folder / "out")
    return folder / "out"


def seen(inspection: Inspection) -> Any:
    return [
        [sample.id for sample in inspection.kept],
        [(r.step, r.rule, r.count, [s.id for s in r.samples]) for r in inspection.rules],
        [(c.step, c.kept, [d.id for d in c.differences]) for c in inspection.clusters],
    ]


def test_samples_are_documents_of_the_run(finished: Path) -> None:
    inspection = inspect_curation(finished, samples=3)
    texts = {document.id: document.text for document in kept(finished)}
    records = {record["id"]: record for record in rejected(finished)}
    assert inspection.finished
    assert inspection.steps_left == 0
    assert (
        inspection.funnel == json.loads((finished / "manifest.json").read_text())["facts"]["funnel"]
    )
    assert len(inspection.kept) == 3
    for sample in inspection.kept:
        assert sample.text == texts[sample.id]
        assert sample.bytes == len(sample.text.encode())
        assert sample.metadata == {"licence": "the user's own"}
    assert [(rule.step, rule.rule, rule.count) for rule in inspection.rules] == [
        ("exact duplicates", "has the text of another", 4),
        ("near-duplicates", "is nearly another", 9),
    ]
    for rule in inspection.rules:
        assert len(rule.samples) == 3
        for sample in rule.samples:
            record = records[sample.id]
            assert (sample.text, sample.reason) == (record["text"], record["reason"])
            assert (rule.step, rule.rule) == (record["step"], record["rule"])


def test_near_duplicates_stand_beside_the_one_that_was_kept(finished: Path) -> None:
    inspection = inspect_curation(finished, samples=20)
    texts = {document.id: document.text for document in kept(finished)}
    records = {record["id"]: record for record in rejected(finished)}
    near = [record for record in records.values() if record["step"] == "near-duplicates"]
    assert len(inspection.clusters) == len(near) == 9  # exact ones differ in white space alone
    for cluster in inspection.clusters:
        (difference,) = cluster.differences
        one, other = records[difference.id]["text"], texts[cluster.kept]
        assert records[difference.id]["metadata"]["duplicate_of"] == cluster.kept
        assert difference.comparison.similarity == jaccard(shingles(one), shingles(other))
        assert not difference.beginnings
        # they differ in their first word
        assert difference.comparison.places[0][:2] == [
            Piece("one", one.split()[0] + " "),
            Piece("other", other.split()[0] + " "),
        ]


def test_a_sample_is_the_same_again_and_does_not_depend_on_the_shards(
    finished: Path, tmp_path: Path
) -> None:
    again = seen(inspect_curation(finished))
    assert seen(inspect_curation(finished)) == again
    assert seen(inspect_curation(finished, seed=1)) != again
    run(replace(EVERYTHING, shard_bytes=10**9), finished.parent / "in", tmp_path / "one")
    other = seen(inspect_curation(tmp_path / "one"))
    assert [other[0], *other[1][0][3]] == [again[0], *again[1][0][3]]


def test_a_larger_sample_has_the_smaller_one(finished: Path) -> None:
    few, many = (seen(inspect_curation(finished, samples=n)) for n in (2, 8))
    assert many[0][:2] == few[0]
    assert len(many[0]) == 8


def test_the_facts_are_json_without_web_pages(finished: Path) -> None:
    facts = json.loads(json.dumps(inspect_curation(finished).facts()))
    assert facts["kept"][0].keys() == {
        "id",
        "source",
        "bytes",
        "text",
        "text_cut",
        "metadata",
        "reason",
        "page_cut",
    }
    assert facts["clusters"][0]["differences"][0]["comparison"]["places"][0][0]["of"] == "one"
    assert facts["read_share"] == {"documents": 1, "rejected": 1}


@pytest.mark.parametrize("tasks", [1, 4, 9, 16])
def test_a_run_that_is_not_finished_shows_what_is_done(
    finished: Path, tmp_path: Path, tasks: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(COARSE, finished.parent / "in", tmp_path / "out", Interrupted(tasks))
    inspection = inspect_curation(tmp_path / "out", samples=100)
    assert not inspection.finished
    assert inspection.steps_left == 4 - len(inspection.funnel)
    assert all(row["shards"] >= 1 for row in inspection.funnel)
    passed = inspection.funnel[-1]["documents"]
    if inspection.funnel[-1]["shards"] == inspection.funnel[0]["shards"]:
        assert len(inspection.kept) == passed
    else:  # other shards have passed the stage before
        assert len(inspection.kept) > passed
    assert sum(rule.count for rule in inspection.rules) == sum(
        len(rule.samples) for rule in inspection.rules
    )


def test_looking_at_a_run_leaves_what_it_becomes_as_it_was(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(EVERYTHING, finished.parent / "in", tmp_path / "out", Interrupted(20))
    (tmp_path / "out" / INSPECTION).write_text("a page")
    run(EVERYTHING, finished.parent / "in", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(finished)
    (tmp_path / "out" / INSPECTION).write_text("another page")
    run(EVERYTHING, finished.parent / "in", tmp_path / "out")  # its files are what they were


def test_of_a_large_run_some_files_are_read(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "READ_BYTES", 3000)
    inspection = inspect_curation(finished, samples=100)
    assert 0 < inspection.read_share["documents"] < 0.5
    assert 0 < len(inspection.kept) < len(kept(finished)) / 2
    assert inspection.rules[1].count == 9
    assert len(inspection.rules[1].samples) < 9


def test_long_texts_are_compared_by_their_beginnings(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(4000)]
    first = " ".join(words)
    second = " ".join(["another", *words[:-40]])
    run(EVERYTHING, write_texts(tmp_path / "in", [first, second]), tmp_path / "out")
    (cluster,) = inspect_curation(tmp_path / "out").clusters
    (difference,) = cluster.differences
    assert difference.beginnings
    assert difference.comparison.similarity > 0.99
    (place,) = difference.comparison.places  # what the cut leaves at the end is none
    assert place[0] == Piece("one", "another ")


def folder_of(path: Path, steps: list[dict[str, Any]], notes: list[dict[str, Any]]) -> Path:
    """A run without documents."""
    (path / "notes").mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"type": "Curation", "steps": steps}))
    (path / "inputs.json").write_text(json.dumps({"data": "crawl/", "source": "0"}))
    (path / "notes" / "0-00000.json").write_text(json.dumps(notes))
    return path


def notes_of(step: str, **values: dict[str, int]) -> dict[str, Any]:
    counts = {"documents": 1, "bytes": 2, "rejected": {}, "counts": {}}
    return {"step": step, **counts, "values": values}


def test_limits_are_those_of_the_recipe(tmp_path: Path) -> None:
    steps = [
        {"type": "Rules", "words": {"type": "Limits", "min": 5, "max": None}, "min_sentences": 3},
        {"type": "Language", "least": 0.65},
    ]
    notes = [
        notes_of("read"),
        notes_of("rules", words={"7": 1}, sentences={"2": 1}, lines={"1": 1}),
        notes_of("language", probability={"0.5": 1}),
    ]
    measures = inspect_curation(folder_of(tmp_path / "run", steps, notes)).measures
    assert [(m.step, m.name, m.least, m.most) for m in measures] == [
        ("rules", "lines", None, None),
        ("rules", "sentences", 3, None),
        ("rules", "words", 5, None),
        ("language", "probability", 0.65, None),
    ]


def test_a_run_without_rejects_and_one_without_documents(tmp_path: Path) -> None:
    data = write_texts(tmp_path / "in", ["one text", "and another"])
    run(EVERYTHING, data, tmp_path / "out")
    inspection = inspect_curation(tmp_path / "out")
    assert (len(inspection.kept), inspection.rules, inspection.clusters) == (2, [], [])
    empty = inspect_curation(folder_of(tmp_path / "empty", [], [notes_of("read")]))
    assert (empty.kept, empty.steps_left) == ([], 0)


def test_what_is_no_curation_is_one_sentence(finished: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path, finished / "manifest.json"):
        with pytest.raises(InputError, match="is no curation: give a folder that"):
            inspect_curation(path)
    config = load_config(Curation, finished / "config.json")
    with pytest.raises(KeyboardInterrupt):
        run(config, finished.parent / "in", tmp_path / "new", Interrupted(0))
    with pytest.raises(InputError, match="has nothing to show yet: none of its shards"):
        inspect_curation(tmp_path / "new")


def test_a_damaged_file_is_named(finished: Path, tmp_path: Path) -> None:
    run(EVERYTHING, finished.parent / "in", tmp_path / "out")
    (tmp_path / "out" / "documents" / "00000.jsonl").write_text("{\n")
    with pytest.raises(ArtifactError, match="00000.jsonl, line 1 is damaged"):
        inspect_curation(tmp_path / "out")
    (tmp_path / "out" / "rejected" / "1-00000.jsonl").write_text("[1]\n")
    with pytest.raises(ArtifactError, match="1-00000.jsonl, line 1 is damaged .it is no record"):
        inspect_curation(tmp_path / "out")


def test_the_command_names_the_page_or_prints_the_facts(finished: Path, tmp_path: Path) -> None:
    run(EVERYTHING, finished.parent / "in", tmp_path / "out")

    def inspect(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "groundup", "curate", "inspect", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = inspect(str(tmp_path / "out"), "--samples", "2")
    assert done.stdout == f"{tmp_path / 'out' / 'inspect.html'}\n"
    page = (tmp_path / "out" / "inspect.html").read_text(encoding="utf-8")
    facts = json.loads(inspect(str(tmp_path / "out"), "--samples", "2", "--json").stdout)
    assert [sample["text"] in page for sample in facts["kept"]] == [True, True]
    wrong = inspect(str(tmp_path))
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert "is no curation" in wrong.stderr
