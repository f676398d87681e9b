"""Files and folders that are given on the command line, as documents."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from groundup.core.errors import InputError
from groundup.core.progress import Advance
from groundup.curate.cut import cut_document
from groundup.curate.document import Document
from groundup.curate.duplicates.digest import content_digest
from groundup.curate.local import open_local
from groundup.curate.split import at_least_one, choose_validation, falls_short

_LEAST_PART_BYTES = 2_000


class Corpus:
    """The documents below some paths, in order; what cannot be read is remembered with its reason.

    Raises `InputError` where a path is missing or nothing below it is of a kind that is read.
    """

    def __init__(self, paths: Sequence[Path]):
        self._sources = [open_local(path) for path in paths]
        self.rejected: dict[str, str] = {}

    def documents(self, advance: Advance) -> Iterator[Document]:
        """May be asked for again. `advance` is told of every document. Raises `InputError`, at the
        end, where none could be read."""
        found = False
        for source in self._sources:
            for document in source.documents(self._reject, advance):
                found = True
                yield document
                advance()
        if self.rejected and not found:
            (name, reason), *others = self.rejected.items()
            more = f" ({len(others):,} more were left out, too)" if others else ""
            raise InputError(f"there is no text to read: {name} {reason}{more}.")

    def texts(self, advance: Advance) -> Iterator[str]:
        """As `documents`."""
        return (document.text for document in self.documents(advance))

    def split(
        self, share: float, advance: Advance, most_bytes: float = math.inf
    ) -> tuple[list[str], list[str]]:
        """Texts to train on, and others with about `share` of the bytes, held in memory. Reading
        ends with the document that makes them `most_bytes`.

        Documents of the same content are on the same side. Where a few long documents cannot be
        divided so, they are cut at paragraphs. Raises `InputError` where there is only one text.
        """
        documents, size = [], 0
        for document in self.documents(advance):
            if document.text.strip():
                documents.append(document)
                size += document.size
            if size >= most_bytes:
                break
        sizes = _sizes(documents)
        chosen = choose_validation(sizes, share, seed=0)
        if falls_short(chosen, sizes, share):
            part = max(_LEAST_PART_BYTES, int(sum(sizes.values()) * share / 5))
            documents = [part_ for whole in documents for part_ in cut_document(whole, part)]
            sizes = _sizes(documents)
            chosen = choose_validation(sizes, share, seed=0)
        chosen = at_least_one(chosen, sizes, " and ".join(s.name for s in self._sources))
        sides: tuple[list[str], list[str]] = ([], [])
        for document in documents:
            sides[content_digest(document.text) in chosen].append(document.text)
        return sides

    def say_rejected(self, console: Console) -> None:
        """Tell what was left out, a line a reason."""
        say_rejected(self.rejected, console)

    def _reject(self, document: Document, reason: str) -> None:
        self.rejected[document.id] = reason


def _sizes(documents: Sequence[Document]) -> dict[bytes, int]:
    """Content digest → bytes of the documents with that content."""
    sizes: dict[bytes, int] = {}
    for document in documents:
        digest = content_digest(document.text)
        sizes[digest] = sizes.get(digest, 0) + document.size
    return sizes


def say_rejected(rejected: Mapping[str, str], console: Console) -> None:
    """Tell what was left out, a line a reason. rejected: by name, the reason."""
    names: dict[str, list[str]] = {}
    for name, reason in rejected.items():
        names.setdefault(reason, []).append(name)
    for reason, (first, *others) in names.items():
        more = f" (and {len(others):,} more)" if others else ""
        console.print(f"left out: {first}{more} {reason}", markup=False, soft_wrap=True)
