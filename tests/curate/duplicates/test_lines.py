"""Lines that a corpus repeats: against a count of all of them in memory, and the core against the
reference."""

import random
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from groundup.core.native import core
from groundup.curate.curation import Curation, run_curation
from groundup.curate.document import Document, encode_document, read_corpus
from groundup.curate.duplicates import lines as module
from groundup.curate.duplicates.lines import RepeatedLines, reference_key, unit_keys, without
from groundup.curate.engines.local import Local
from groundup.curate.notes import Notes
from groundup.curate.sources import open_source

# few of them, so that they repeat; the same words in other spellings; short ones; none
LINES = st.sampled_from(
    ["Share this page!", "share THIS  page", "Page 1 of 20", "page 3 of 45:", "Page 10 of 20",
     "one two", "* * *", "", "", "a line of its own", "die Straße ist naß", "数 数 数"]
)  # fmt: skip
SEPARATORS = {"line": "\n", "paragraph": "\n\n"}


def run(
    config: RepeatedLines, shards: list[list[str]], to: Path
) -> tuple[dict[str, str], Notes, list[dict[str, Any]]]:
    """The step on shards of texts: what is left, by number, the notes of all, and the rejects."""
    paths, number = [], 0
    for texts in shards:
        paths.append(to / f"{len(paths)}.jsonl")
        documents = (Document(text, str(n), "test") for n, text in enumerate(texts, start=number))
        paths[-1].write_text("".join(map(encode_document, documents)), encoding="utf-8")
        number += len(texts)
    for tasks in config.passes(paths, to / "found"):
        for task in tasks:
            task.function(*task.arguments)
    left: dict[str, str] = {}
    records: list[dict[str, Any]] = []
    notes = Notes("repeated lines", records.append)
    for shard, path in enumerate(paths):
        apply = config.of_shard(paths, to / "found", shard)
        left |= {document.id: document.text for document in apply(read_corpus(path), notes)}
    return left, notes, records


def visible(text: str, unit: str) -> list[str]:
    return [part for part in text.split(SEPARATORS[unit]) if part.strip()]


def normalised(line: str) -> str:
    return " ".join(re.findall(r"[0-9a-zß]+|\w", re.sub(r"\d", "0", line.lower())))


def left_of(texts: list[str], config: RepeatedLines) -> list[list[str]]:
    """The oracle: the units of each text that stay, blank ones aside."""
    separator = SEPARATORS[config.unit]
    counts = Counter(normalised(unit) for text in texts for unit in text.split(separator))
    seen: set[str] = set()
    left = []
    for text in texts:
        kept = []
        for unit in text.split(separator):
            key = normalised(unit)
            first = key not in seen
            seen.add(key)
            short = len(key.split()) < config.min_words
            if short or counts[key] <= config.most or (config.keep_first and first):
                kept.append(unit)
        left.append(visible(separator.join(kept), config.unit))
    return left


@settings(max_examples=50)
@given(
    shards=st.lists(st.lists(st.lists(LINES, min_size=1, max_size=8), max_size=6), min_size=1),
    unit=st.sampled_from(["line", "paragraph"]),
    most=st.integers(1, 4),
    keep_first=st.booleans(),
    run_units=st.sampled_from([1, 5, 1000]),
)
def test_what_is_left_is_what_a_count_in_memory_leaves(
    shards: list[list[list[str]]],
    unit: Literal["line", "paragraph"],
    most: int,
    keep_first: bool,
    run_units: int,
) -> None:
    separator = SEPARATORS[unit]
    joined = [[separator.join(units) for units in texts] for texts in shards]
    config = RepeatedLines(unit=unit, most=most, keep_first=keep_first, max_lost=1)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_RUN", run_units)
        patch.setattr("os.fsync", lambda _: None)  # what it is worth is tested elsewhere
        left, notes, _ = run(config, joined, Path(folder))

    texts = [text for shard in joined for text in shard]
    expected = left_of(texts, config)
    before = [visible(text, unit) for text in texts]
    gone = {n for n, units in enumerate(before) if units and not expected[n]}
    assert {int(n): visible(text, unit) for n, text in left.items()} == {
        n: units for n, units in enumerate(expected) if n not in gone
    }
    assert sum(notes.rejected.values()) == len(gone)
    cut = sum(len(before[n]) - len(expected[n]) for n in range(len(texts)) if n not in gone)
    assert notes.counts[f"{unit}s cut"] == cut


def test_processes_and_shards_make_no_difference(tmp_path: Path) -> None:
    draw = random.Random(0)
    lines = [f"line number {'x' * n} of many" for n in range(60)]
    (tmp_path / "in").mkdir()
    for number in range(30):
        text = "\n".join(draw.choices(lines, k=20))
        (tmp_path / "in" / f"{number}.txt").write_text(text)
    source, results = open_source(str(tmp_path / "in")), []
    for shard_bytes, workers in [(1000, 1), (1000, 2), (10**6, 1)]:
        to = tmp_path / f"{shard_bytes}-{workers}"
        config = Curation(steps=(RepeatedLines(most=9, min_words=1),), shard_bytes=shard_bytes)
        with Local(workers) as engine:
            facts = run_curation(config, source, "in", to, engine, Console(quiet=True)).facts
        assert facts["funnel"][-1]["counts"]["lines cut"] > 50
        results.append(b"".join(p.read_bytes() for p in sorted((to / "documents").iterdir())))
    assert results[0] == results[1] == results[2]


def test_a_document_that_loses_most_of_its_text_is_rejected(tmp_path: Path) -> None:
    menu = "a menu with words\nand another of these\n"  # 39 characters
    long = "many words of its own " * 9
    texts = [f"{menu}own text\n", menu, f"{menu}{long}\n"]
    left, notes, records = run(RepeatedLines(most=2, max_lost=0.6), [texts], tmp_path)
    assert left == {"2": f"{long}\n"}
    assert notes.rejected == {"mostly repeated lines": 2}
    assert notes.counts == {"bytes cut": 39, "lines cut": 2}
    assert [record["reason"] for record in records] == [
        "has 81% of its text in lines that the corpus repeats, more than 60%",
        "has nothing but lines that the corpus repeats",
    ]
    assert [record["text"] for record in records] == texts[:2]


@pytest.mark.parametrize(
    ("text", "unit", "dropped", "left"),
    [
        ("a\nX\nb\n", "line", {1}, "a\nb\n"),
        ("a\n\nX\n\nb\n", "line", {2}, "a\n\nb\n"),  # one blank line of the two
        ("a\nX\n\nb\n", "line", {1}, "a\n\nb\n"),  # a paragraph still ends there
        ("a\n\n\nb\nX\nc\n", "line", {4}, "a\n\n\nb\nc\n"),  # elsewhere nothing changes
        ("X\n\na\n", "line", {0}, "a\n"),
        ("a\n\nX\n", "line", {2}, "a\n"),
        ("a\n\nX\n\nY\n\nb", "line", {2, 4}, "a\n\nb"),
        ("X\n\n", "line", {0}, "\n"),
        ("a\nb\n\nX\nY\n", "paragraph", {1}, "a\nb\n"),
        ("X\n\na\n\nb\n", "paragraph", {0}, "a\n\nb\n"),
    ],
)
def test_blank_lines_around_a_cut(text: str, unit: str, dropped: set[int], left: str) -> None:
    assert without(text, unit, dropped) == left


def test_keys_are_those_of_the_words() -> None:
    text = "Page 3 of 17\n– PAGE 5 of 20 –\npage 3 of 170\npage3 of 17\n\n!?\n"
    keys, words = unit_keys(text, "line")
    assert words.tolist() == [4, 4, 4, 3, 0, 0, 0]
    assert keys[0].tolist() == keys[1].tolist()
    assert len({tuple(key) for key in keys.tolist()}) == 4  # nothing has a key, too


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.booleans())
def test_the_core_makes_the_keys_of_the_reference(parts: list[str], lines: bool) -> None:
    unit = "line" if lines else "paragraph"
    text = SEPARATORS[unit].join(parts)
    keys, words = unit_keys(text, unit)
    expected = [reference_key(one) for one in text.split(SEPARATORS[unit])]
    assert [(tuple(key), count) for key, count in zip(keys.tolist(), words, strict=True)] == (
        expected
    )


def test_the_reference_serves_without_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "One two 3\n\nÉtés, naïve\n"
    with_core = unit_keys(text, "line")
    monkeypatch.setattr(module, "core", None)
    np.testing.assert_array_equal(with_core[0], unit_keys(text, "line")[0])
    np.testing.assert_array_equal(with_core[1], unit_keys(text, "line")[1])


@pytest.mark.parametrize("options", [{"most": 0}, {"min_words": 0}, {"max_lost": 1.5}])
def test_what_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 1|a share"):
        RepeatedLines(**options)  # pyright: ignore[reportArgumentType]
