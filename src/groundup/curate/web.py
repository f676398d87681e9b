"""Web pages as documents: single files, and the archives of crawls (WARC, WET, ARC).

A document's text is the page's main text; a PDF in an archive is one, too. What is no page, was not
found, is too long, damaged or cut short is rejected with the reason, and reading goes on behind it
wherever the archive can be followed.
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from groundup.core.errors import InputError, MissingExtraError
from groundup.curate.document import Document, Reject
from groundup.curate.extract import decode_page, extractor_of
from groundup.curate.formats.streams import DamagedError, open_bytes
from groundup.curate.http_message import decode_body, split_response
from groundup.curate.input_file import InputFile
from groundup.curate.pdf import pdf_document
from groundup.curate.time_limit import TimeLimitError, within

_PAGE_BYTES = 16 << 20  # a longer page is rejected
_SECONDS = 10.0  # a page takes a hundredth, mostly; one that takes longer is rejected
_TOO_LONG = f"is longer than {_PAGE_BYTES:,} bytes"
_PAGES = ("text/html", "application/xhtml+xml")
_PDF = "application/pdf"
_UNREADABLE = (OSError, ValueError, RuntimeError, EOFError)
_RECORD_STARTS = (b"WARC/", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # plain, gzip, zstd
_ARC_LINE = 64 << 10
_ARC = re.compile(rb"(\S.*) \S+ (\d+) (\S*) (-?\d{1,18})\r?\n")


def read_html(file: InputFile, reject: Reject) -> Iterator[Document]:
    """The main text of one page."""
    try:
        with open_bytes(file.path) as raw:
            data = raw.read(_PAGE_BYTES + 1)
    except DamagedError as error:
        reject(file.document(""), str(error))
        return
    if len(data) > _PAGE_BYTES:
        reject(file.document(""), _TOO_LONG)
    else:
        yield from _page(file, "", data, None, {}, reject)


def read_warc(file: InputFile, reject: Reject) -> Iterator[Document]:
    """Pages of a WARC file, and texts of a WET file; plain, gzip or zstd."""
    number = 0
    with open(file.path, "rb") as raw:
        records = _records(raw)
        while True:
            number += 1
            place = f"#{number}"
            try:
                record: Any = next(records)
                data = record.reader.read(_PAGE_BYTES + 1)
            except StopIteration:
                return
            except _UNREADABLE as error:
                reject(file.document("", place), f"is no record of a WARC file ({error})")
                return
            headers = {str(name).lower(): str(value) for name, value in record.headers.items()}
            metadata: dict[str, Any] = {
                "url": headers.get("warc-target-uri", ""),
                "date": headers.get("warc-date", ""),
            }
            if os.pread(raw.fileno(), 5, record.stream_pos).startswith(_RECORD_STARTS):
                metadata["offset"] = record.stream_pos
            if len(data) < min(record.content_length, _PAGE_BYTES + 1):
                reject(file.document("", place, metadata), "is cut short")
            elif len(data) > _PAGE_BYTES:
                reject(file.document("", place, metadata), _TOO_LONG)
            elif headers.get("warc-type", "").lower() == "conversion":
                yield from _plain(file, place, data, metadata, reject)
            else:
                kind = headers.get("content-type", "")
                yield from _response(file, place, data, kind, metadata, reject)


def read_record(path: Path, offset: int) -> str:
    """The HTML of the page, or the text, whose record begins at that byte of a WARC file: a
    document's metadata say where. Raises `InputError` where there is none."""
    try:
        with open(path, "rb") as raw:
            raw.seek(offset)
            record = next(_records(raw))
            if record.stream_pos != offset:
                raise ValueError("is no page, but another record")
            data = record.reader.read(_PAGE_BYTES + 1)
            page, kind, charset = _content(data, record.headers.get("Content-Type") or "")
            if kind == _PDF:
                raise ValueError("is no page, but a PDF")
    except (StopIteration, *_UNREADABLE) as error:
        raise InputError(f"no page of {path} can be read from byte {offset:,} on.") from error
    return decode_page(page, charset)


def _records(raw: BinaryIO) -> Iterator[Any]:
    try:
        from fastwarc.warc import ArchiveIterator, WarcRecordType
    except ImportError as error:
        raise MissingExtraError("Reading WARC files", "curate") from error
    kinds = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
    return iter(ArchiveIterator(raw, record_types=kinds, parse_http=False, auto_decode="none"))


def read_arc(file: InputFile, reject: Reject) -> Iterator[Document]:
    """Pages of an ARC file (Burner and Kahle 1996), plain or gzip: a line that names the page, its
    date, kind and length, then the response."""
    with open(file.path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    number = 0
    with cast(IO[bytes], (gzip.open if packed else open)(file.path, "rb")) as archive:
        try:
            while line := archive.readline(_ARC_LINE):
                if not line.strip():
                    continue
                number += 1
                place = f"#{number}"
                head = _ARC.fullmatch(line)
                if head is None or int(head[4]) < 0:
                    reject(file.document("", place), "is no record of an ARC file")
                    return
                length = int(head[4])
                data = archive.read(min(length, _PAGE_BYTES + 1))
                _skip(archive, length - len(data))
                url = head[1].decode("utf-8", "replace")
                metadata = {"url": url, "date": head[2].decode()}
                if len(data) < min(length, _PAGE_BYTES + 1):
                    reject(file.document("", place, metadata), "is cut short")
                elif len(data) > _PAGE_BYTES:
                    reject(file.document("", place, metadata), _TOO_LONG)
                elif not url.startswith("filedesc:"):
                    kind = head[3].decode("latin-1")
                    yield from _response(file, place, data, kind, metadata, reject)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            reject(file.document("", f"#{number + 1}"), f"is damaged or cut short ({error})")


def _skip(archive: IO[bytes], count: int) -> None:
    while count > 0 and (passed := archive.read(min(count, _PAGE_BYTES))):
        count -= len(passed)


def _response(
    file: InputFile,
    place: str,
    data: bytes,
    kind: str,
    metadata: dict[str, Any],
    reject: Reject,
) -> Iterator[Document]:
    """What a server answered; or a resource by itself, of that kind."""
    try:
        data, kind, charset = _content(data, kind)
    except ValueError as error:
        reject(file.document("", place, metadata), str(error))
        return
    if kind in _PAGES or (not kind and b"<html" in data[:2048].lower()):
        yield from _page(file, place, data, charset, metadata, reject)
    elif kind == "text/plain":
        yield from _plain(file, place, data, metadata, reject)
    elif kind == _PDF:
        yield from pdf_document(file, data, reject, place, metadata)
    else:
        reject(file.document("", place, metadata), f"is no page, but {kind or 'of no kind'}")


def _content(data: bytes, kind: str) -> tuple[bytes, str, str | None]:
    """What was sent, its kind and the character set that the server named; `ValueError` with the
    reason where it was not found or cannot be decoded."""
    charset = None
    answer = split_response(data)
    if answer is not None:
        status, headers, body = answer
        if status != 200:
            raise ValueError(f"was answered with status {status}")
        data = decode_body(body, headers, _PAGE_BYTES)
        kind = headers.get_content_type() if "Content-Type" in headers else ""
        charset = headers.get_content_charset()
    return data, kind.split(";")[0].strip().lower(), charset


def _page(
    file: InputFile,
    place: str,
    data: bytes,
    charset: str | None,
    metadata: dict[str, Any],
    reject: Reject,
) -> Iterator[Document]:
    try:
        text = within(_SECONDS, _main_text, file.reading.extractor, data, charset)
    except TimeLimitError as error:
        reject(file.document("", place, metadata), str(error))
        return
    if text:
        yield file.document(text, place, metadata)
    else:
        reject(file.document("", place, metadata), "has no main text")


def _main_text(extractor: str, data: bytes, charset: str | None) -> str:
    return extractor_of(extractor)(decode_page(data, charset))


def _plain(
    file: InputFile, place: str, data: bytes, metadata: dict[str, Any], reject: Reject
) -> Iterator[Document]:
    try:
        yield file.document(data.decode("utf-8"), place, metadata)
    except UnicodeDecodeError as error:
        reject(file.document("", place, metadata), f"is not valid UTF-8 ({error.reason})")
