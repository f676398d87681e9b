"""What is drawn by lot from the files of a curation: documents that it kept, documents that each
rule rejected, and those that were rejected in favour of the same document.

Each file is read once, and of a large corpus only some are, so that neither time nor memory grow
with it. Rejected documents come first: the texts of those that were kept in their place are then
met on the way through the others.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundup.curate.document import Document, decode_document
from groundup.curate.sampling import Reservoir, bytes_of, read_some

Record = Mapping[str, Any]  # of a rejected document, as `Notes` has it

READ_BYTES = 1 << 30  # of the documents, and of the rejected ones: 3 s
COMPARED_CHARS = 20_000  # of a document that was kept in place of others, of which there are 10,000
_MEMBERS = 3  # of a cluster are held
_SPARE = 20  # so many clusters are held for one that is shown, as not every kept one may be read
_FIELDS = {"step", "rule", "reason", "id", "source", "bytes", "text", "metadata"}


@dataclass
class Members:
    """What was rejected in favour of one document: how many, and some of them."""

    count: int = 0
    records: list[Record] = field(default_factory=list)

    def add(self, record: Record) -> None:
        self.count += 1
        if len(self.records) < _MEMBERS:
            self.records.append(record)


@dataclass
class Rejects:
    """Rejected documents. rules: by step and rule. clusters: by step, and then by the id of the
    document that was kept."""

    rules: dict[tuple[str, str], Reservoir[Record]] = field(default_factory=dict)
    clusters: dict[str, Reservoir[Members]] = field(default_factory=dict)

    def of_rule(self, step: str, rule: str) -> Iterable[Record]:
        held = self.rules.get((step, rule))
        return held.items().values() if held is not None else ()


@dataclass
class Documents:
    """Documents that were kept. texts: by their ids, the beginnings of those asked for."""

    kept: Reservoir[Document]
    texts: dict[str, str] = field(default_factory=dict)


def draw_rejects(paths: Iterable[Path], samples: int, seed: int) -> Rejects:
    """paths: of the records. samples: of each rule, and clusters of each step."""
    drawn = Rejects()
    for record in read_some(paths, READ_BYTES, seed, _decode_record):
        step, rule, name = record["step"], record["rule"], record["id"]
        drawn.rules.setdefault((step, rule), Reservoir(samples, seed)).add(name, record)
        kept = record["metadata"].get("duplicate_of")
        if isinstance(kept, str):
            clusters = drawn.clusters.setdefault(step, Reservoir(_SPARE * samples, seed))
            members = clusters.add(kept, Members())
            if members is not None:
                members.add(record)
    return drawn


def draw_documents(paths: Iterable[Path], samples: int, seed: int, wanted: set[str]) -> Documents:
    """wanted: the ids of documents whose texts are asked for."""
    drawn = Documents(Reservoir(samples, seed))
    for document in read_some(paths, READ_BYTES, seed, decode_document):
        drawn.kept.add(document.id, document)
        if document.id in wanted:
            drawn.texts.setdefault(document.id, document.text[:COMPARED_CHARS])
    return drawn


def share_read(paths: Sequence[Path]) -> float:
    """Of the bytes of files, those that are read."""
    return min(1, READ_BYTES / max(1, bytes_of(paths)))


def _decode_record(line: bytes) -> Record:
    record = json.loads(line)
    if not isinstance(record, dict) or not record.keys() >= _FIELDS:
        raise ValueError("it is no record of a rejected document")
    return record
