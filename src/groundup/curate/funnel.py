"""What became of the documents: counts after every step, and the rejects, to look at later."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from groundup.curate.document import Document, Reject

_TEXT_CHARS = 10_000  # of a rejected text are kept; `bytes` says how long it was


@dataclass(slots=True)
class Funnel:
    """Counts what passes each step, and writes what does not as JSON lines to `rejected`.

    A line holds `step`, `reason`, `id`, `source`, `bytes` (of the whole text) and `text` (its
    beginning).
    """

    rejected: IO[str]
    documents: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def after(self, step: str, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents, counted as having passed the step. Steps are listed in order of calls."""
        self.documents[step] = self.bytes[step] = 0
        self.dropped.setdefault(step, 0)
        return self._counted(step, documents)

    def rejects_of(self, step: str) -> Reject:
        """Where the step leaves the documents that it drops."""
        self.dropped.setdefault(step, 0)

        def reject(document: Document, reason: str) -> None:
            self.dropped[step] += 1
            record = {
                "step": step,
                "reason": reason,
                "id": document.id,
                "source": document.source,
                "bytes": document.size,
                "text": document.text[:_TEXT_CHARS],
            }
            self.rejected.write(json.dumps(record, ensure_ascii=False) + "\n")

        return reject

    def rows(self) -> list[dict[str, Any]]:
        """The table: every step's name, documents and bytes that passed, documents dropped."""
        return [
            {
                "step": step,
                "documents": self.documents[step],
                "dropped": self.dropped[step],
                "bytes": self.bytes[step],
            }
            for step in self.documents
        ]

    def _counted(self, step: str, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            self.documents[step] += 1
            self.bytes[step] += document.size
            yield document
