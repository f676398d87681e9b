"""Files and folders of this machine as a source."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from groundup.core.errors import InputError
from groundup.core.files import sha256_file, sha256_json
from groundup.core.progress import Advance
from groundup.curate.document import Document, Reject
from groundup.curate.input_file import InputFile
from groundup.curate.parts import in_groups
from groundup.curate.readers import is_readable, read_file, readable_suffixes


@dataclass(frozen=True)
class LocalFiles:
    """Documents of the files `names` below `root`, in that order.

    name, licence: of the source. text_field: see `InputFile`.
    fingerprint: see `fingerprint_files`.
    skipped: other names that were found, which are rejected so that the user sees them.
    """

    name: str
    licence: str
    root: Path
    names: tuple[str, ...]
    fingerprint: str
    skipped: tuple[str, ...] = ()
    text_field: str = "text"

    def documents(self, reject: Reject, _advance: Advance, /) -> Iterator[Document]:
        """See `Source`."""
        for name in self.skipped:
            document = Document(text="", id=_printable(name), source=self.name)
            kinds = ", ".join(readable_suffixes())
            reject(document, f"is no file of a kind that is read ({kinds})")
        for name in self.names:
            file = InputFile(self.root / name, _printable(name), self.name, self.text_field)
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


def open_local(path: Path, text_field: str = "text") -> LocalFiles:
    """A file, or a folder with all that is below it, sorted by name.

    Hidden files and folders, and `__pycache__`, are left out. Links to folders are not followed.
    Raises `InputError` where the path is missing or nothing below it is of a kind that is read.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path.")
    if path.is_dir():
        root, found = path, _files_below(path)
    else:
        root, found = path.parent, [path.name]
    names = tuple(name for name in found if is_readable(name) and (root / name).is_file())
    if not names:
        kinds = ", ".join(readable_suffixes())
        raise InputError(f"{path} holds no document: files that end in {kinds} are read.")
    skipped = tuple(name for name in found if name not in set(names))
    name = _printable(path.resolve().name)
    fingerprint = fingerprint_files(root, names, text_field)
    return LocalFiles(name, "the user's own", root, names, fingerprint, skipped, text_field)


def fingerprint_files(root: Path, names: Sequence[str], text_field: str = "text") -> str:
    """SHA-256 over every file's name and SHA-256, in order of the names."""
    files = [[_printable(name), _checksum(root / name)] for name in sorted(names)]
    return sha256_json({"files": files, "text_field": text_field})


def _files_below(folder: Path) -> list[str]:
    """Names relative to the folder, with `/`, sorted."""
    names = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__pycache__"]
        below = Path(parent).relative_to(folder)
        names += [(below / file).as_posix() for file in files if not file.startswith(".")]
    return sorted(names)


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
