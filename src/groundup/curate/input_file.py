"""A file that documents are read from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from groundup.curate.document import Document

File = TypeVar("File")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read.

    id: of its document, or what the ids of its documents begin with.
    source: of its documents.
    text_field: the JSON field or Parquet column that holds the text.
    """

    path: Path
    id: str
    source: str
    text_field: str = "text"

    def document(self, text: str, place: str = "", metadata: Any = None) -> Document:
        return Document(
            text=text,
            id=self.id + place,
            source=self.source,
            metadata=metadata if isinstance(metadata, dict) else {},
        )


def groups_of(sizes: Iterable[tuple[File, int]], max_bytes: int) -> list[list[File]]:
    """Files with their sizes, in consecutive groups: one file, or no more than `max_bytes`."""
    groups: list[list[File]] = []
    total = 0
    for file, size in sizes:
        if not groups or total + size > max_bytes:
            groups.append([])
            total = 0
        groups[-1].append(file)
        total += size
    return groups
