"""Atomic files: what is there is whole; a killed process leaves a temporary file at the most.

Every write goes to a temporary sibling, is flushed to the disk, and takes the final name in one
rename (POSIX `rename(2)` is atomic within a file system).
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from groundup.core.errors import ArtifactError

PARTIAL = ".partial"  # suffix of a file that is being written; readers never look at these
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_file(path: Path, mode: str = "wb", *, durable: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary sibling of `path` for writing; it becomes `path` only on success.

    Text modes write UTF-8 with `\\n` line ends on every platform. durable: its name is flushed to
    the disk too; not where another process will do that, and may then have moved the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL)
    try:
        with naming(path), _open(partial, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A context that writes to an open file: an error for lack of room does not say by itself
    which file it was, and leaves this context with the name of `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM and error.filename is None:
            error.filename = str(path)
        raise


def _open(path: Path, mode: str) -> IO[Any]:
    return open(path, mode) if "b" in mode else open(path, mode, encoding="utf-8", newline="\n")


def sync(path: Path) -> None:
    """Flush a file, or the renames inside a directory, to the disk: they survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the contents of `path` by `data`, atomically."""
    with atomic_file(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Replace the contents of `path` by `text` (UTF-8), atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are errors: JSON has neither."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, records: Iterable[Any]) -> None:
    """Write one JSON value a line, atomically, in ASCII: no character can break a line."""
    with atomic_file(path, "w") as file:
        for record in records:
            file.write(json.dumps(record, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse the JSON file at `path`; an `ArtifactError` says which file is missing or malformed."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ArtifactError(
            f"{path} is not valid JSON ({error}): it is cut off or damaged; make it again."
        ) from error


def read_text(path: Path) -> str:
    """The text of a file; an `ArtifactError` says which one is missing, or is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist.") from error
    except UnicodeDecodeError as error:
        raise ArtifactError(
            f"{path} is no UTF-8 ({error}): it is cut off or damaged; make it again."
        ) from error


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file's contents."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON value, independent of the order of its keys."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
