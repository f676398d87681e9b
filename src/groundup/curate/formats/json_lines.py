"""JSON lines: an object a line, one of whose fields is the text.

`id`, `metadata` and `source` of the object are the document's, so that what curation wrote is read
as it was.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any

from groundup.curate.document import Document, Reject
from groundup.curate.formats.streams import DamagedError, read_chunks
from groundup.curate.input_file import InputFile

_LINE_BYTES = 64 << 20  # a longer line is rejected


def read_json_lines(file: InputFile, reject: Reject) -> Iterator[Document]:
    """A file of JSON lines; plain, gzip or zstd. A line that is none is rejected."""
    yield from json_documents(file, read_chunks(file.path), reject)


def json_documents(file: InputFile, chunks: Iterable[bytes], reject: Reject) -> Iterator[Document]:
    """The documents of JSON lines that come in chunks."""
    try:
        for number, line in enumerate(_lines(chunks), start=1):
            place = f":{number}"
            if line is None:
                reject(file.document("", place), f"is a line of more than {_LINE_BYTES:,} bytes")
                continue
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line.strip():
                try:
                    yield json_document(file, json.loads(line), place, rb"\u" in line)
                except (ValueError, RecursionError) as error:
                    reject(file.document("", place), json_reason(error))
    except DamagedError as error:
        reject(file.document(""), str(error))


def json_document(file: InputFile, fields: Any, place: str, has_escapes: bool) -> Document:
    """The document of a JSON object. Raises `ValueError` where it is none.

    has_escapes: whether the JSON has escapes, which can spell half of a surrogate pair.
    """
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")
    text = fields.get(file.reading.text_field)
    if not isinstance(text, str):
        names = ", ".join(map(ascii, list(fields)[:8])) or "none"
        raise ValueError(f"has no string field '{file.reading.text_field}' (its fields: {names})")
    if has_escapes:  # UTF-8 cannot hold half a pair
        json.dumps(fields, ensure_ascii=False).encode("utf-8")
    document = file.document(text, place, fields.get("metadata"))
    if isinstance(fields.get("id"), str):
        document.id = fields["id"]
    if isinstance(fields.get("source"), str) and isinstance(fields.get("metadata"), dict):
        document.source = fields["source"]
    return document


def json_reason(error: Exception) -> str:
    """What is wrong with JSON, as it continues a sentence."""
    if isinstance(error, json.JSONDecodeError):
        return f"is not valid JSON ({error.msg}, column {error.colno})"
    if isinstance(error, UnicodeEncodeError):
        return "holds half of a surrogate pair"
    if isinstance(error, UnicodeDecodeError):
        return f"is not valid {error.encoding} ({error.reason})"
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """The lines of a stream of bytes; None for one that is longer than `_LINE_BYTES`."""
    pending = bytearray()
    too_long = False
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            too_long = too_long or len(pending) + len(end) > _LINE_BYTES
            yield None if too_long else bytes(pending + end)
            pending.clear()
            too_long = False
        pending += rest
        if len(pending) > _LINE_BYTES:
            pending.clear()
            too_long = True
    if pending or too_long:
        yield None if too_long else bytes(pending)
