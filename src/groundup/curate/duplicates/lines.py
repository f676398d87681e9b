"""Lines and paragraphs that a corpus repeats: navigation, notices, signatures, lyrics.

CCNet (Wenzek et al. 2020, section 3.1) drops every paragraph that occurs twice in a part of the
crawl, the first time too, and calls each line a paragraph; Dolma (Soldaini et al. 2024) keeps the
first; Llama 3 (2024, section 3.1.1) drops lines that occur more than six times among 30 million
documents. All three are settings here.

Two units are the same where their words are: in lower case, without punctuation, blanks aside, and
with 0 for every digit, as CCNet has it (but that it joins the words at a mark). A unit's key is 128
bits: two polynomials of the hashes of its words, as in `shingles`. `core` has the same in C++.

    write_units     each shard: the keys of its units, in runs, each as a shard of `repeats`
    find_repeats    each part of all keys: the units that occur too often
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from groundup.core.files import PARTIAL, sync
from groundup.core.native import core
from groundup.curate.document import Document, read_corpus
from groundup.curate.duplicates.repeats import (
    Keys,
    Numbers,
    find_repeats,
    parts_of,
    repeats_of,
    write_keys,
)
from groundup.curate.duplicates.shingles import BASE, lowered, scrambled, word_hash, words
from groundup.curate.notes import Notes
from groundup.curate.step import Apply, Task

_64_BITS = (1 << 64) - 1
_OTHER_BASE = 0xD6E8FEB86659FD93
_RUN = 1 << 21  # units whose keys are held and sorted at a time: some 150 MB
_SEPARATORS = {"line": "\n", "paragraph": "\n\n"}


@dataclass(frozen=True, kw_only=True)
class RepeatedLines:
    """Lines, or paragraphs, that occur too often in the corpus are cut out of its documents.

    unit: a line, or a paragraph, which ends at a blank line. most: a unit that occurs more often is
    cut out wherever it stands; keep_first: everywhere but where it stands first. min_words: of a
    unit; shorter ones stay. max_lost: the share of its characters that a document may lose, or else
    it is rejected.

    Llama 3 is the default, CCNet is most=1, and Dolma most=1 and keep_first.
    """

    title: ClassVar[str] = "repeated lines"

    unit: Literal["line", "paragraph"] = "line"
    most: int = 6
    keep_first: bool = False
    min_words: int = 3
    max_lost: float = 0.8

    def __post_init__(self) -> None:
        if self.most < 1 or self.min_words < 1:
            raise ValueError("most and min_words are at least 1")
        if not 0 <= self.max_lost <= 1:
            raise ValueError("max_lost is a share, from 0 to 1")

    def passes(self, shards: Sequence[Path], folder: Path, /) -> Iterator[Sequence[Task]]:
        to = _of_shards(folder, len(shards))
        yield [Task(write_units, (*pair, self)) for pair in zip(shards, to, strict=True)]
        runs = [*chain(*map(_runs, to))]
        parts = parts_of(runs)
        yield [
            Task(
                find_repeats,
                (runs, n, parts, _found(folder) / f"{n:05}.npy", self.most, self.keep_first),
            )
            for n in range(parts)
        ]

    def of_shard(self, shards: Sequence[Path], folder: Path, shard: int, /) -> Apply:
        runs = [_runs(of_shard) for of_shard in _of_shards(folder, len(shards))]
        before = sum(map(len, runs[:shard]))
        return _Cut(self, runs[shard], before, sorted(_found(folder).glob("*.npy"))).apply


@dataclass(frozen=True)
class _Cut:
    """Takes the units out of a shard that `found` says are too many. runs: of the shard; before: so
    many there are of the shards before it."""

    config: RepeatedLines
    runs: Sequence[Path]
    before: int
    found: Sequence[Path]

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        for document, dropped in zip(documents, self._dropped(), strict=True):
            if not dropped:
                yield document
                continue
            text = without(document.text, self.config.unit, dropped)
            if reason := self._reason(document.text, text):
                notes.reject(document, reason, f"mostly {notes.step}")
                continue
            notes.count(f"{self.config.unit}s cut", len(dropped))
            notes.count("bytes cut", document.size - len(text.encode("utf-8")))
            document.text = text
            yield document

    def _reason(self, before: str, text: str) -> str | None:
        """Why what is left of a document is none."""
        what, most = f"{self.config.unit}s that the corpus repeats", self.config.max_lost
        if not text.strip():
            return f"has nothing but {what}"
        lost = 1 - len(text) / len(before)
        return (
            f"has {lost:.0%} of its text in {what}, more than {most:.0%}" if lost > most else None
        )

    def _dropped(self) -> Iterator[set[int]]:
        """The numbers of the units that each document loses."""
        for number, run in enumerate(self.runs, start=self.before):
            units = repeats_of(self.found, number).units
            bounds = np.load(run / "bounds.npy")
            cuts = np.searchsorted(units, bounds)
            for begin, low, high in zip(bounds, cuts, cuts[1:], strict=False):
                yield set((units[low:high] - begin).tolist())


def write_units(shard: Path, to: Path, config: RepeatedLines) -> None:
    """Write the keys of a shard's units: folders of `write_keys`, each of some documents, with
    `bounds`, the numbers of units up to the begin of each and to the end of the last."""
    if to.exists():
        return
    unfinished = to.with_name(to.name + PARTIAL)
    shutil.rmtree(unfinished, ignore_errors=True)
    for number, run in enumerate(_runs_of(read_corpus(shard), config)):
        write_keys(
            np.concatenate(run.keys),
            unfinished / f"{number:05}",
            np.concatenate(run.units),
            bounds=np.array(run.bounds, dtype=np.int64),
        )
    unfinished.rename(to)
    sync(to.parent)


@dataclass(frozen=True)
class _Run:
    """Of some documents: the keys and numbers of the units that have so many words, and `bounds`
    as `write_units` has them."""

    keys: list[Keys] = field(default_factory=lambda: [np.empty((0, 2), dtype=np.uint64)])
    units: list[Numbers] = field(default_factory=lambda: [np.empty(0, dtype=np.int64)])
    bounds: list[int] = field(default_factory=lambda: [0])


def _runs_of(documents: Iterable[Document], config: RepeatedLines) -> Iterator[_Run]:
    """At least one, and the last may be empty."""
    run = _Run()
    for document in documents:
        keys, counts = unit_keys(document.text, config.unit)
        (long,) = np.nonzero(counts >= config.min_words)
        run.keys.append(keys[long])
        run.units.append(long + run.bounds[-1])
        run.bounds.append(run.bounds[-1] + len(counts))
        if run.bounds[-1] >= _RUN:
            yield run
            run = _Run()
    yield run


def unit_keys(text: str, unit: str) -> tuple[Keys, Numbers]:
    """The key of each unit, [units, 2], and how many words it has."""
    units = lowered(text).split(_SEPARATORS[unit])
    if core is not None:
        return core.keys(units)
    found = [reference_key(one) for one in units]
    keys = np.array([key for key, _ in found], dtype=np.uint64).reshape(-1, 2)
    return keys, np.array([count for _, count in found], dtype=np.int64)


def reference_key(unit: str) -> tuple[tuple[int, int], int]:
    """The key of a unit, and how many words it has."""
    upper = lower = 0
    hashes = [word_hash(re.sub("[0-9]", "0", w).encode()) for w in words(unit, punctuation=False)]
    for word in hashes:
        upper = (upper * BASE + word) & _64_BITS
        lower = (lower * _OTHER_BASE + word) & _64_BITS
    return (scrambled(upper), scrambled(lower)), len(hashes)


def without(text: str, unit: str, dropped: set[int]) -> str:
    """The text without some of its units. Where one was between blank lines, one of these is left;
    the text ends with a line's end if it did before."""
    separator = _SEPARATORS[unit]
    kept: list[str] = []
    gap = False
    for number, one in enumerate(text.split(separator)):
        if number in dropped:
            gap = True
        elif not gap or one.strip() or (kept and kept[-1].strip()):
            kept.append(one)
            gap = False
    rest = separator.join(kept)
    return rest + "\n" if text.endswith("\n") and not rest.endswith("\n") else rest


def _of_shards(folder: Path, shards: int) -> list[Path]:
    return [folder / "units" / f"{number:05}" for number in range(shards)]


def _runs(of_shard: Path) -> list[Path]:
    return sorted(of_shard.iterdir())


def _found(folder: Path) -> Path:
    return folder / "repeats"
