"""The bytes of files, compressed or not."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from groundup.core.errors import MissingExtraError

_READ_BYTES = 1 << 20
_ZSTD_READ_BYTES = 8 << 10  # zstd expands up to 30,000 times: at most some 250 MB at once


class DamagedError(ValueError):
    """A compressed file is no whole one; the message continues a sentence about it."""


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """A file to read and to rewind, a `.gz` file decompressed. What is read of a damaged one raises
    `DamagedError`."""
    with open(path, "rb") as raw:
        if path.suffix.lower() != ".gz":
            yield raw
            return
        try:
            with gzip.open(raw) as unpacked:
                yield cast(BinaryIO, unpacked)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DamagedError(f"is damaged or cut short ({error})") from error


def read_chunks(path: Path) -> Iterator[bytes]:
    """The contents of a file from beginning to end, of a `.gz` or `.zst` file decompressed. Raises
    `DamagedError` where it is not whole."""
    if path.suffix.lower() == ".zst":
        yield from _zstd_chunks(path)
        return
    with open_bytes(path) as stream:
        while chunk := stream.read(_READ_BYTES):
            yield chunk


def _zstd_chunks(path: Path) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise MissingExtraError("Reading .zst files", "curate") from error
    frame = None
    with open(path, "rb") as raw:
        while data := raw.read(_ZSTD_READ_BYTES):
            while data:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield frame.decompress(data)
                except zstandard.ZstdError as error:
                    raise DamagedError(f"is damaged or cut short ({error})") from error
                data = frame.unused_data
                if frame.eof:
                    frame = None
    if frame is not None:
        raise DamagedError("is damaged or cut short (the last frame is not whole)")
