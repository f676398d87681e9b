"""A file that documents are read from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.curate.document import Document
from groundup.curate.reading import DEFAULT_READING, Reading


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read.

    id: of its document, or what the ids of its documents begin with.
    source: of its documents.
    reading: how it is read.
    """

    path: Path
    id: str
    source: str
    reading: Reading = DEFAULT_READING

    def document(self, text: str, place: str = "", metadata: Any = None) -> Document:
        return Document(
            text=text,
            id=self.id + place,
            source=self.source,
            metadata=metadata if isinstance(metadata, dict) else {},
        )
