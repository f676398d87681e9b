"""JSON files: an array of objects or of strings; or JSON lines, which often have that name."""

import codecs
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from groundup.curate.document import Document, Reject
from groundup.curate.formats.json_lines import json_document, json_documents, json_reason
from groundup.curate.formats.streams import DamagedError, read_chunks
from groundup.curate.input_file import InputFile

_ARRAY_BYTES = 64 << 20  # a longer one is rejected: it would be in memory as a whole


def read_json(file: InputFile, reject: Reject) -> Iterator[Document]:
    """A JSON file, plain or gzip: a document an entry of its array, or a line."""
    chunks = read_chunks(file.path)
    try:
        head = next(chunks, b"")
        begins = head.removeprefix(codecs.BOM_UTF8).lstrip()
        if begins.startswith(b"["):
            yield from _array(file, chain([head], chunks), reject)
        elif begins.startswith(b"{") and _is_lines(begins):
            yield from json_documents(file, chain([head], chunks), reject)
        else:
            reject(file.document(""), "is no array of objects or strings, and no JSON lines")
    except DamagedError as error:
        reject(file.document(""), str(error))


def _is_lines(beginning: bytes) -> bool:
    """Whether the first line is an object, as far as one sees."""
    line, newline, _ = beginning.partition(b"\n")
    try:
        return not newline or isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _array(file: InputFile, chunks: Iterable[bytes], reject: Reject) -> Iterator[Document]:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > _ARRAY_BYTES:
            reason = f"is an array of more than {_ARRAY_BYTES:,} bytes: write JSON lines (.jsonl)"
            reject(file.document(""), reason)
            return
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as error:
        reject(file.document(""), json_reason(error))
        return
    has_escapes = rb"\u" in data
    for number, entry in enumerate(entries, start=1):
        place = f":{number}"
        try:
            yield _document(file, entry, place, has_escapes)
        except (ValueError, RecursionError) as error:
            reject(file.document("", place), json_reason(error))


def _document(file: InputFile, entry: Any, place: str, has_escapes: bool) -> Document:
    if not isinstance(entry, str):
        return json_document(file, entry, place, has_escapes)
    entry.encode("utf-8")  # fails where it holds half of a surrogate pair
    return file.document(entry, place)
