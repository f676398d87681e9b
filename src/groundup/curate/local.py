"""Files and folders of this machine as a source."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from groundup.core.errors import InputError
from groundup.core.files import sha256_file, sha256_json
from groundup.core.progress import Advance
from groundup.curate.document import Document, Reject
from groundup.curate.finding import find_files
from groundup.curate.input_file import InputFile
from groundup.curate.parts import in_groups
from groundup.curate.readers import is_readable, read_file, readable_kinds
from groundup.curate.reading import DEFAULT_READING, Reading


@dataclass(frozen=True)
class LocalFiles:
    """Documents of the files `names` below `root`, in that order.

    name, licence: of the source. reading: of its files.
    fingerprint: see `fingerprint_files`.
    skipped: other names that were found, with the reason; they are rejected, so that the user sees
        them.
    """

    name: str
    licence: str
    root: Path
    names: tuple[str, ...]
    fingerprint: str
    skipped: tuple[tuple[str, str], ...] = ()
    reading: Reading = DEFAULT_READING

    def documents(self, reject: Reject, _advance: Advance, /) -> Iterator[Document]:
        """See `Source`."""
        for name, reason in self.skipped:
            reject(Document(text="", id=_printable(name), source=self.name), reason)
        for name in self.names:
            file = InputFile(self.root / name, _printable(name), self.name, self.reading)
            for document in read_file(file, reject):
                document.metadata.setdefault("licence", self.licence)
                yield document

    def parts(self, max_bytes: int, /) -> list["LocalFiles"]:
        """See `Source`."""
        sizes = ((name, _size(self.root / name)) for name in self.names)
        groups = list(in_groups(sizes, max_bytes))
        if len(groups) < 2:
            return [self]
        return [
            replace(
                self,
                names=names,
                fingerprint=sha256_json({"of": self.fingerprint, "names": names}),
                skipped=() if number else self.skipped,
            )
            for number, names in enumerate(groups)
        ]


def open_local(path: Path, reading: Reading = DEFAULT_READING) -> LocalFiles:
    """The files that the path stands for (`find_files`), as far as they are of a kind that is read.

    Raises `InputError` where there is none.
    """
    root, found, skipped = find_files(path)
    names = tuple(name for name in found if is_readable(name) and (root / name).is_file())
    if not names:
        raise InputError(f"{path} holds no document: {readable_kinds()} are read.")
    reason = f"is no file of a kind that is read: {readable_kinds()} are"
    skipped += [(name, reason) for name in sorted({*found} - {*names})]
    name = _printable((path if path.exists() else root).resolve().name)
    fingerprint = fingerprint_files(root, names, reading)
    return LocalFiles(
        name, "the user's own", root, names, fingerprint, tuple(sorted(skipped)), reading
    )


def fingerprint_files(root: Path, names: Sequence[str], reading: Reading = DEFAULT_READING) -> str:
    """SHA-256 over every file's name and SHA-256, in order of the names, and how they are read."""
    files = [[_printable(name), _checksum(root / name)] for name in sorted(names)]
    return sha256_json({"files": files, **reading.fingerprint})


def _checksum(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError:  # reading it will reject it, with the reason
        return "unreadable"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _printable(name: str) -> str:
    """The name as UTF-8 can hold it; bytes of another encoding are written as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
