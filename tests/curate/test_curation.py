import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tests.interrupted import Interrupted

from groundup.core.errors import ArtifactError, ConfigError, InputError
from groundup.curate.curation import Curation, run_curation
from groundup.curate.decontaminate.examples import EvaluationSet
from groundup.curate.decontaminate.step import Decontaminate
from groundup.curate.document import Document, read_corpus
from groundup.curate.duplicates.digest import content_digest
from groundup.curate.duplicates.shingles import jaccard, shingles
from groundup.curate.duplicates.steps import ExactDuplicates, NearDuplicates
from groundup.curate.engines.local import Local
from groundup.curate.normalize import Normalize
from groundup.curate.reading import Reading
from groundup.curate.rules.rule_file import RuleFile
from groundup.curate.sources import open_source
from groundup.curate.stages import stages_of

QUIET = Console(quiet=True)
EVERYTHING = Curation(steps=(Normalize(), ExactDuplicates(), NearDuplicates()), shard_bytes=3000)
COARSE = replace(EVERYTHING, shard_bytes=8000)


def write_texts(folder: Path, texts: Iterable[str]) -> Path:
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_text(text, encoding="utf-8")
    return folder


def texts_with_repeats() -> list[str]:
    """Some with the same words, some that differ in a word of sixty, most of their own."""
    own = [" ".join(f"w{n}x{i * (n + 1) % 997}" for i in range(60)) for n in range(30)]
    near = [" ".join(["other", *text.split()[1:]]) for text in own[:9]]
    return [*own[:20], *near, *(f"{text}  " for text in own[4:8]), *own[20:]]


def run(config: Curation, data: Path, to: Path, engine: Any = None) -> dict[str, Any]:
    source = open_source(str(data))
    return dict(
        run_curation(config, source, str(data), to, engine or Local(1), QUIET).facts,
    )


def contents(run: Path) -> dict[str, bytes]:
    """The files that a run leaves, but for the names of its source."""
    found = sorted(path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


def kept(run: Path) -> list[Document]:
    return [
        document for path in sorted((run / "documents").iterdir()) for document in read_corpus(path)
    ]


def rejected(run: Path) -> list[dict[str, Any]]:
    lines = (path.read_text(encoding="utf-8") for path in sorted((run / "rejected").iterdir()))
    return [json.loads(line) for text in lines for line in text.splitlines()]


def no_reject(document: Document, reason: str) -> None:
    raise AssertionError(f"{document.id} {reason}")


def skip_notes(amount: float = 1, note: str = "") -> None:
    """No progress is looked at."""


def test_one_of_each_document_is_left(tmp_path):
    texts = texts_with_repeats()
    facts = run(EVERYTHING, write_texts(tmp_path / "in", texts), tmp_path / "out")
    left = [document.text for document in kept(tmp_path / "out")]

    # The oracle: all pairs. A chain of pairs leaves the longest of it, of equals the first.
    unique = list(
        {content_digest(text): f"{text.rstrip()}\n" for text in reversed(texts)}.values()
    )[::-1]
    sets = [shingles(text) for text in unique]
    cluster = list(range(len(unique)))
    for i in range(len(unique)):
        for j in range(i):
            if jaccard(sets[i], sets[j]) >= 0.8:
                cluster = [cluster[j] if c == cluster[i] else c for c in cluster]
    best = {}
    for text, name in zip(unique, cluster, strict=True):
        if name not in best or len(text) > len(best[name]):
            best[name] = text
    assert sorted(left) == sorted(best.values())
    assert 20 < len(left) < len(texts)

    steps = [
        (row["step"], row["documents"], sum(row["rejected"].values())) for row in facts["funnel"]
    ]
    assert [name for name, *_ in steps] == [
        "read",
        "normalise",
        "exact duplicates",
        "near-duplicates",
    ]
    assert steps[0][1] == len(texts)
    for (_, before, _), (_, after, dropped) in itertools.pairwise(steps):
        assert before == after + dropped
    assert len(left) + len(rejected(tmp_path / "out")) == len(texts)


def test_a_reject_names_what_is_kept_in_its_place(tmp_path):
    run(EVERYTHING, write_texts(tmp_path / "in", texts_with_repeats()), tmp_path / "out")
    ids = {document.id for document in kept(tmp_path / "out")}
    gone = {record["id"]: record for record in rejected(tmp_path / "out")}
    assert gone
    for record in gone.values():
        other = record["metadata"]["duplicate_of"]
        assert record["reason"].endswith(other)
        assert other in ids or gone[other]["step"] == "near-duplicates"


@pytest.mark.parametrize(("best", "kept_one"), [("first", 0), ("longest", 2), ("score", 1)])
def test_the_best_of_those_that_are_alike_is_kept(tmp_path, best, kept_one):
    words = " ".join(f"word{n}" for n in range(100))
    texts = [f"{words} a", f"{words} b", f"{words} longest", f"{words} longer!"]
    (tmp_path / "in").mkdir()
    for number, (text, score) in enumerate(zip(texts, (1, 5, "many", 5), strict=True)):
        line = {"text": text, "metadata": {"score": score}}
        (tmp_path / "in" / f"{number}.jsonl").write_text(json.dumps(line))
    config = Curation(steps=(NearDuplicates(best=best),), shard_bytes=1)
    run(config, tmp_path / "in", tmp_path / "out")
    assert [document.text for document in kept(tmp_path / "out")] == [texts[kept_one]]


@pytest.mark.parametrize("shard_bytes", [1, 1000, 10**9])
def test_shards_make_no_difference(tmp_path, shard_bytes):
    data = write_texts(tmp_path / "in", texts_with_repeats())
    run(EVERYTHING, data, tmp_path / "some")
    other = Curation(steps=EVERYTHING.steps, shard_bytes=shard_bytes)
    facts = run(other, data, tmp_path / "other")
    assert kept(tmp_path / "other") == kept(tmp_path / "some")
    assert sorted(map(str, rejected(tmp_path / "other"))) == sorted(
        map(str, rejected(tmp_path / "some"))
    )
    assert facts["shards"] == {1: 43, 10**9: 1}.get(shard_bytes, facts["shards"])


def test_processes_make_no_difference(tmp_path):
    data = write_texts(tmp_path / "in", texts_with_repeats())
    run(EVERYTHING, data, tmp_path / "one")
    with Local(2) as engine:
        run(EVERYTHING, data, tmp_path / "two", engine)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source and a run of it that nothing cut off."""
    folder = tmp_path_factory.mktemp("whole")
    run(COARSE, write_texts(folder / "in", texts_with_repeats()), folder / "whole")
    return folder


@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, 40), min_size=1, max_size=3))
def test_a_run_that_was_cut_off_goes_on_to_the_same_bytes(whole, cuts):
    with TemporaryDirectory() as folder:
        for cut in cuts:
            with contextlib.suppress(KeyboardInterrupt):
                run(COARSE, whole / "in", Path(folder, "cut"), Interrupted(cut))
        run(COARSE, whole / "in", Path(folder, "cut"))
        assert contents(Path(folder, "cut")) == contents(whole / "whole")


def test_a_killed_command_goes_on_to_the_same_bytes(tmp_path):
    data = write_texts(tmp_path / "in", texts_with_repeats() * 4)
    command = [sys.executable, "-m", "groundup", "curate", "run", "basic", "--data", str(data)]
    command += ["--runs", str(tmp_path), "--set", "shard_bytes=2000", "--workers", "2"]
    subprocess.run([*command, "--name", "whole"], check=True, capture_output=True)
    notes = tmp_path / "cut" / "notes"
    for share in (0.2, 0.5, 0.8):  # of the notes of all shards and stages
        total = len(list((tmp_path / "whole" / "notes").iterdir()))
        process = subprocess.Popen([*command, "--name", "cut"], start_new_session=True)
        while process.poll() is None:
            if notes.exists() and len(list(notes.iterdir())) > share * total:
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        process.wait()
    subprocess.run([*command, "--name", "cut"], check=True, capture_output=True)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_full_disk_stops_the_run_with_a_sentence_and_nothing_is_lost(tmp_path):
    data = write_texts(tmp_path / "in", [f"word{n} " * 3000 for n in range(30)])
    command = [sys.executable, "-m", "groundup", "curate", "run", "basic", "--data", str(data)]
    command += ["--runs", str(tmp_path), "--set", "shard_bytes=100000", "--workers", "2"]
    small = f"ulimit -f 40; exec {' '.join(command)} --name cut"  # blocks of 1024 bytes
    stopped = subprocess.run(["bash", "-c", small], capture_output=True, text=True, check=False)
    assert stopped.returncode == 2
    assert stopped.stderr.count("\n") == 1
    assert "larger than the system allows" in stopped.stderr
    assert not list((tmp_path / "cut").rglob("*.jsonl.partial"))
    for name in ("cut", "whole"):
        subprocess.run([*command, "--name", name], check=True, capture_output=True)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_finished_run_is_a_source(tmp_path):
    run(EVERYTHING, write_texts(tmp_path / "in", texts_with_repeats()), tmp_path / "out")
    source = open_source(str(tmp_path / "out"))
    assert source.name == "out"
    again = list(source.documents(no_reject, skip_notes))
    assert [document.text for document in again] == [d.text for d in kept(tmp_path / "out")]


def test_another_recipe_or_source_is_refused(tmp_path):
    data = write_texts(tmp_path / "in", texts_with_repeats())
    with pytest.raises(KeyboardInterrupt):
        run(EVERYTHING, data, tmp_path / "out", Interrupted(5))
    with pytest.raises(ConfigError, match="made with another shard_bytes"):
        run(Curation(steps=EVERYTHING.steps), data, tmp_path / "out")
    (data / "more.txt").write_text("more")
    with pytest.raises(ArtifactError, match="made of other documents"):
        run(EVERYTHING, data, tmp_path / "out")


def test_another_way_of_reading_is_named(tmp_path):
    data = tmp_path / "in"
    data.mkdir()
    (data / "a.jsonl").write_text('{"text": "a b c", "body": "d e f"}')
    run(EVERYTHING, data, tmp_path / "out")
    source = open_source(str(data), reading=Reading(text_field="body"))
    with pytest.raises(ArtifactError, match="made with another text_field"):
        run_curation(EVERYTHING, source, str(data), tmp_path / "out", Local(1), QUIET)


@pytest.mark.parametrize("finished", [False, True])
def test_changed_files_of_a_recipe_are_refused(tmp_path, finished):
    data = write_texts(tmp_path / "in", texts_with_repeats())
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    (evaluation / "test.txt").write_text("a line\n")
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rules]]\nmeasure = "words"\nmin = 1\n')
    steps = (
        RuleFile(path=str(rules)),
        Decontaminate(against=(EvaluationSet(path=str(evaluation)),)),
    )
    config = Curation(steps=steps, shard_bytes=3000)
    if finished:
        run(config, data, tmp_path / "out")
    else:
        with pytest.raises(KeyboardInterrupt):
            run(config, data, tmp_path / "out", Interrupted(5))
    (evaluation / "test.txt").write_text("another line\n")
    with pytest.raises(ArtifactError, match=r"made before .*evaluation was changed"):
        run(config, data, tmp_path / "out")
    (evaluation / "test.txt").write_text("a line\n")
    run(config, data, tmp_path / "out")
    rules.write_text('[[rules]]\nmeasure = "words"\nmin = 2\n')
    with pytest.raises(ArtifactError, match=r"made before .*rules.toml was changed"):
        run(config, data, tmp_path / "out")


def test_a_step_that_cannot_work_is_refused_before_all_else(tmp_path):
    data = write_texts(tmp_path / "in", texts_with_repeats())
    (tmp_path / "rules.toml").write_text('[[rules]]\nmeasure = "wrods"\nmin = 1\n')
    config = Curation(steps=(ExactDuplicates(), RuleFile(path=str(tmp_path / "rules.toml"))))
    with pytest.raises(InputError, match="wrods"):
        run(config, data, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_what_is_not_finished_is_no_source(tmp_path):
    data = write_texts(tmp_path / "in", texts_with_repeats())
    with pytest.raises(KeyboardInterrupt):
        run(EVERYTHING, data, tmp_path / "out", Interrupted(5))
    with pytest.raises(InputError, match="is a curation that is not finished"):
        open_source(str(tmp_path / "out"))


def test_many_shards_take_few_open_files(tmp_path):
    """A process may often have no more than 1024."""
    texts = [f"{text} {n}" for n in range(6) for text in texts_with_repeats()]
    data = write_texts(tmp_path / "in", texts)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, before[1]))
    try:
        facts = run(replace(EVERYTHING, shard_bytes=1), data, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert facts["shards"] == len(texts) == 258


def test_where_nothing_is_left_the_reasons_are_told(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text("{\n[1]\n")
    with pytest.raises(InputError, match=r"no document of in is left; dropped were.*read: 2"):
        run(EVERYTHING, folder, tmp_path / "out")


def test_a_title_that_occurs_again_gets_a_number():
    stages = stages_of((Normalize(), ExactDuplicates(), Normalize(), ExactDuplicates()))
    assert [stage.titles for stage in stages] == [
        ("read", "normalise"),
        ("exact duplicates", "normalise 2"),
        ("exact duplicates 2",),
    ]
