"""Web pages as documents: single files, and the archives of crawls (WARC, WET, ARC).

A document's text is the page's main text. What is no page, was not found, is too long, damaged or
cut short is rejected with the reason, and reading goes on behind it wherever the archive can be
followed.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from email.message import Message
from typing import IO, Any, cast

from groundup.core.errors import MissingExtraError
from groundup.curate.document import Document, Reject
from groundup.curate.extract import decode_page, default_extractor
from groundup.curate.http_message import decode_body, split_response
from groundup.curate.input_file import InputFile

_PAGE_BYTES = 16 << 20  # a longer page is rejected
_TOO_LONG = f"is longer than {_PAGE_BYTES:,} bytes"
_PAGES = ("text/html", "application/xhtml+xml")
_ARC_LINE = 64 << 10
_ARC = re.compile(rb"(\S.*) \S+ (\d+) (\S*) (-?\d+)\r?\n")


def read_html(file: InputFile, reject: Reject) -> Iterator[Document]:
    """The main text of one page."""
    with open(file.path, "rb") as raw:
        data = raw.read(_PAGE_BYTES + 1)
    if len(data) > _PAGE_BYTES:
        reject(file.document(""), _TOO_LONG)
    else:
        yield from _page(file, "", data, None, {}, reject)


def read_warc(file: InputFile, reject: Reject) -> Iterator[Document]:
    """Pages of a WARC file, and texts of a WET file; plain, gzip or zstd."""
    try:
        from fastwarc.warc import ArchiveIterator, WarcRecordType
    except ImportError as error:
        raise MissingExtraError("Reading WARC files", "curate") from error
    kinds = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
    number = 0
    with open(file.path, "rb") as raw:
        records = iter(
            ArchiveIterator(raw, record_types=kinds, parse_http=False, auto_decode="none")
        )
        while True:
            number += 1
            place = f"#{number}"
            try:
                record: Any = next(records)
                data = record.reader.read(_PAGE_BYTES + 1)
            except StopIteration:
                return
            except (OSError, ValueError, RuntimeError, EOFError) as error:
                reject(file.document("", place), f"is no record of a WARC file ({error})")
                return
            headers = {str(name).lower(): str(value) for name, value in record.headers.items()}
            metadata = {
                "url": headers.get("warc-target-uri", ""),
                "date": headers.get("warc-date", ""),
            }
            if len(data) < min(record.content_length, _PAGE_BYTES + 1):
                reject(file.document("", place, metadata), "is cut short")
            elif len(data) > _PAGE_BYTES:
                reject(file.document("", place, metadata), _TOO_LONG)
            elif record.record_type == WarcRecordType.conversion:
                yield from _plain(file, place, data, metadata, reject)
            else:
                kind = headers.get("content-type", "")
                yield from _response(file, place, data, kind, metadata, reject)


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
    metadata: dict[str, str],
    reject: Reject,
) -> Iterator[Document]:
    """What a server answered; or a resource by itself, of that kind."""
    charset = None
    answer = split_response(data)
    if answer is not None:
        status, headers, body = answer
        if status != 200:
            reject(file.document("", place, metadata), f"was answered with status {status}")
            return
        try:
            data = decode_body(body, headers, _PAGE_BYTES)
        except ValueError as error:
            reject(file.document("", place, metadata), str(error))
            return
        kind, charset = _kind(headers)
    kind = kind.split(";")[0].strip().lower()
    if kind in _PAGES or (not kind and b"<html" in data[:2048].lower()):
        yield from _page(file, place, data, charset, metadata, reject)
    elif kind == "text/plain":
        yield from _plain(file, place, data, metadata, reject)
    else:
        reject(file.document("", place, metadata), f"is no page, but {kind or 'of no kind'}")


def _kind(headers: Message) -> tuple[str, str | None]:
    charset = headers.get_content_charset()
    return (headers.get_content_type() if "Content-Type" in headers else ""), charset


def _page(
    file: InputFile,
    place: str,
    data: bytes,
    charset: str | None,
    metadata: dict[str, str],
    reject: Reject,
) -> Iterator[Document]:
    text = default_extractor().text(decode_page(data, charset))
    if text:
        yield file.document(text, place, metadata)
    else:
        reject(file.document("", place, metadata), "has no main text")


def _plain(
    file: InputFile, place: str, data: bytes, metadata: dict[str, str], reject: Reject
) -> Iterator[Document]:
    try:
        yield file.document(data.decode("utf-8"), place, metadata)
    except UnicodeDecodeError as error:
        reject(file.document("", place, metadata), f"is not valid UTF-8 ({error.reason})")
