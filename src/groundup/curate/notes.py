"""What a step notes while documents pass: how many, which were rejected and why, what it measured.

Notes of shards add up to those of the corpus, whatever the shards and their order.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from groundup.curate.document import Document

Write = Callable[[dict[str, Any]], None]

_TEXT_CHARS = 10_000  # of a rejected text are kept; `bytes` says how long it was


@dataclass
class Notes:
    """The notes of one step on one shard.

    documents, bytes: that passed. rejected: by rule, how many did not. counts: what the step
    counted. values: by name, how often each value was measured, to two significant digits. write:
    takes the record of a rejected document.

    A record holds `step`, `rule`, `reason`, `id`, `source`, `bytes` (of the whole text), `text`
    (its beginning) and `metadata`.
    """

    step: str
    write: Write
    documents: int = 0
    bytes: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(default_factory=dict)

    def reject(self, document: Document, reason: str, rule: str = "") -> None:
        """Note that the document is dropped. reason: continues a sentence about it ("has 3 words,
        fewer than 50"). rule: what reasons of one kind have in common; without one, the reason up
        to its first digit, bracket or colon."""
        rule = rule or _kind(reason)
        self.rejected[rule] += 1
        self.write(
            {
                "step": self.step,
                "rule": rule,
                "reason": reason,
                "id": document.id,
                "source": document.source,
                "bytes": document.size,
                "text": document.text[:_TEXT_CHARS],
                "metadata": document.metadata,
            }
        )

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count: lines dropped, e-mail addresses masked."""
        self.counts[name] += number

    def value(self, name: str, value: float) -> None:
        """Add to a distribution: what a rule measured, of documents that it kept and of others."""
        self.values.setdefault(name, Counter())[f"{value:.2g}"] += 1

    def passed(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents, counted."""
        for document in documents:
            self.documents += 1
            self.bytes += document.size
            yield document

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it, keys in order."""
        return {
            "step": self.step,
            "documents": self.documents,
            "bytes": self.bytes,
            "rejected": dict(sorted(self.rejected.items())),
            "counts": dict(sorted(self.counts.items())),
            "values": {
                name: dict(sorted(values.items(), key=lambda item: float(item[0])))
                for name, values in sorted(self.values.items())
            },
        }


def lines_of(file: IO[str]) -> Write:
    """Records as JSON lines of a file."""

    def write(record: dict[str, Any]) -> None:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")

    return write


def not_written(record: dict[str, Any]) -> None:
    """Records that nobody keeps."""


def add_up(notes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Notes of many shards, as dictionaries: those of each step together, in order."""
    steps: dict[str, Notes] = {}
    for one in notes:
        total = steps.setdefault(one["step"], Notes(one["step"], not_written))
        total.documents += one["documents"]
        total.bytes += one["bytes"]
        total.rejected.update(one["rejected"])
        total.counts.update(one["counts"])
        for name, values in one["values"].items():
            total.values.setdefault(name, Counter()).update(values)
    return [total.as_dict() for total in steps.values()]


def nothing_left(source: str, funnel: Iterable[dict[str, Any]], rejected: Path) -> str:
    """The sentence for a run that has kept no document of a source. funnel: the notes of its steps.
    rejected: where the reasons are."""
    dropped = {row["step"]: sum(row["rejected"].values()) for row in funnel}
    reasons = ", ".join(f"{step}: {count:,}" for step, count in dropped.items() if count)
    if not reasons:
        return f"{source} holds no document."
    return (
        f"no document of {source} is left; dropped were, by step, {reasons}: {rejected} has the "
        "reasons."
    )


def _kind(reason: str) -> str:
    end = next((i for i, c in enumerate(reason) if c.isdigit() or c in "(:,'"), len(reason))
    return reason[:end].strip()
