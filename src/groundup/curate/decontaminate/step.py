"""The step that leaves out of a corpus what evaluations ask for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from groundup.core.files import read_json
from groundup.curate.decontaminate.examples import EvaluationSet
from groundup.curate.decontaminate.index import Index, Overlap, write_index
from groundup.curate.decontaminate.scan import (
    Span,
    read_overlaps,
    scan,
    take_stock,
)
from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.step import Apply, Task

# GPT-3's (Brown et al. 2020, appendix C), in characters and pieces
_MARGIN, _SHORTEST, _MOST_PIECES = 200, 200, 10


@dataclass(frozen=True, kw_only=True)
class Decontaminate(Overlap):
    """Documents that hold an example of an evaluation are rejected, or what they hold is cut out.

    action: `cut` takes the shared words out with 200 characters on both sides. What is left are
    pieces, each a document; those of fewer than 200 characters are dropped, and where more than ten
    would be left, or none, the document is rejected, as it is in GPT-3.

    `contamination` in the metadata of a rejected document, and of a piece, says which examples were
    found and where they stand in their sets; the notes count, for each set, its examples, those
    that are too short to be found, and those that were found.
    """

    title: ClassVar[str] = "decontaminate"

    against: tuple[EvaluationSet, ...]
    action: Literal["reject", "cut"] = "reject"

    def __post_init__(self) -> None:
        super().__post_init__()
        titles = {evaluation.title for evaluation in self.against}
        if not self.against:
            raise ValueError("against names no evaluation set")
        if len(titles) < len(self.against):
            raise ValueError("two evaluation sets have the same name: give one of them another")

    def passes(self, shards: Sequence[Path], folder: Path, /) -> Iterator[Sequence[Task]]:
        index = _index(folder)
        yield [Task(write_index, (self.against, self, index))]
        scanned = [_scanned(folder, shard) for shard in range(len(shards))]
        yield [
            Task(scan, (shard, index, self, to)) for shard, to in zip(shards, scanned, strict=True)
        ]
        yield [Task(take_stock, (scanned, _stock(folder)))]

    def of_shard(self, shards: Sequence[Path], folder: Path, shard: int, /) -> Apply:
        del shards
        return _Clean(self.action, folder, shard).apply


@dataclass(frozen=True)
class _Clean:
    action: str
    folder: Path
    shard: int

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        self._count(notes)
        overlaps = read_overlaps(_scanned(self.folder, self.shard))
        for number, document in enumerate(documents):
            found = overlaps.get(number)
            if found is None:
                yield document
                continue
            document.metadata["contamination"] = [held._asdict() for held in found.held]
            pieces = pieces_without(document.text, found.spans) if self.action == "cut" else []
            if not 0 < len(pieces) <= _MOST_PIECES:
                worst = max(found.held, key=lambda held: held.share)
                reason = f"holds {worst.share:.0%} of {worst.evaluation}, {worst.example}"
                notes.reject(document, reason, worst.evaluation)
                continue
            notes.count("documents cut")
            notes.count("bytes cut", document.size - sum(len(p.encode("utf-8")) for p in pieces))
            for piece, text in enumerate(pieces, start=1):
                metadata = {**document.metadata}
                yield replace(document, text=text, id=f"{document.id}#{piece}", metadata=metadata)

    def _count(self, notes: Notes) -> None:
        if self.shard == 0:
            for title, examples, too_short in Index(_index(self.folder)).sets:
                notes.count(f"{title}, examples", examples)
                notes.count(f"{title}, too short", too_short)
                notes.count(f"{title}, found", 0)
        for title, examples in read_json(_stock(self.folder))[self.shard].items():
            notes.count(f"{title}, found", examples)


def pieces_without(text: str, spans: Sequence[Span]) -> list[str]:
    """What is left of a text without spans and what is beside them."""
    pieces, begin = [], 0
    for span_begin, span_end in [*spans, (len(text) + _MARGIN, 0)]:
        piece = text[begin : max(begin, span_begin - _MARGIN)].strip()
        if len(piece) >= _SHORTEST:
            pieces.append(piece + "\n")
        begin = max(begin, span_end + _MARGIN)
    return pieces


def _index(folder: Path) -> Path:
    return folder / "index"


def _stock(folder: Path) -> Path:
    return folder / "stock.json"


def _scanned(folder: Path, shard: int) -> Path:
    return folder / "scanned" / f"{shard:05}.jsonl"
