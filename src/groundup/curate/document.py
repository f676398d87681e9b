"""A document: the unit that curation reads, judges, keeps or rejects.

On disk, documents are JSON lines in UTF-8, one document a line, with the fields of `Document`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundup.core.errors import ArtifactError


@dataclass(slots=True)
class Document:
    """A text and where it came from.

    text: what a model will read.
    id: names the document within its source, and leads back to it (`notes/a.jsonl:12`, line 12).
    source: where it came from (`stdlib`).
    metadata: anything else, such as the licence; JSON values.
    """

    text: str
    id: str
    source: str
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the text in UTF-8."""
        return len(self.text.encode("utf-8"))


Reject = Callable[[Document, str], None]
"""Takes a document that is dropped, and the reason. A reader of what cannot be read leaves the
text empty."""


def encode_document(document: Document) -> str:
    """One line of JSON, newline included. The text must be encodable: no lone surrogates."""
    fields = {
        "text": document.text,
        "id": document.id,
        "source": document.source,
        "metadata": document.metadata,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def decode_document(line: str | bytes) -> Document:
    """The document of a line that `encode_document` wrote; `ValueError` where it is none."""
    fields = json.loads(line)
    kinds = {"text": str, "id": str, "source": str, "metadata": dict}
    if not isinstance(fields, dict) or fields.keys() != kinds.keys():
        raise ValueError(f"a document has the fields {', '.join(kinds)}")
    for name, kind in kinds.items():
        if not isinstance(fields[name], kind):
            raise ValueError(f"the field {name} is not of type {kind.__name__}")
    return Document(**fields)


def read_corpus(path: Path) -> Iterator[Document]:
    """The documents of a file that curation wrote, in order, one in memory at a time.

    Raises `ArtifactError` where the file is missing, or a line of it is damaged.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield decode_document(line)
                except ValueError as error:
                    raise ArtifactError(
                        f"{path}, line {number} is no document ({error}): "
                        f"delete {path.parent} and run again."
                    ) from error
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist: run the curation again.") from error
