from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.curate.document import Document
from groundup.curate.input_file import InputFile
from groundup.curate.readers import read_file

Read = Callable[..., tuple[list[Document], list[tuple[str, str]]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a file of that name and contents: its documents, and ids and reasons of rejects."""

    def read(name: str, contents: bytes, **options: Any) -> Any:
        path = tmp_path / name
        path.write_bytes(contents)
        rejected: list[tuple[str, str]] = []
        documents = read_file(
            InputFile(path, name, "test", **options),
            lambda document, reason: rejected.append((document.id, reason)),
        )
        return [*documents], rejected

    return read


@pytest.fixture
def texts(read: Read) -> Callable[..., Any]:
    """As `read`, but of each document id and text."""

    def texts(*arguments: Any, **options: Any) -> Any:
        documents, rejected = read(*arguments, **options)
        return [(document.id, document.text) for document in documents], rejected

    return texts
