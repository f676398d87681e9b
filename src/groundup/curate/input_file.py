"""A file that documents are read from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.curate.document import Document


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
