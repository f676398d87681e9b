"""Files of text, web pages, JSON lines and Parquet as streams of documents.

A file or a line that cannot be read never stops a run: it is rejected with the reason, and reading
goes on behind it. Memory is bounded whatever the file's size: a longer text comes in parts, a
longer line is rejected.
"""

import codecs
import json
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from groundup.core.errors import MissingExtraError
from groundup.curate.cut import paragraph_end
from groundup.curate.document import Document, Reject
from groundup.curate.input_file import InputFile
from groundup.curate.pdf import read_pdf
from groundup.curate.web import read_arc, read_html, read_warc

_TEXT_CHARS = 16 << 20  # a longer text file becomes several documents
_LINE_BYTES = 64 << 20  # a longer JSON line is rejected
_READ_BYTES = 1 << 20
_ZSTD_READ_BYTES = 8 << 10  # zstd expands up to 30,000 times: at most some 250 MB at once
_BINARY_PROBE_BYTES = 8000  # where git looks for NUL bytes to tell binary files


def read_file(file: InputFile, reject: Reject) -> Iterator[Document]:
    """The file's documents, in order: one a text file, a JSON line or a Parquet row.

    The kind is told by the suffix (`is_readable`). Raises `MissingExtraError` where
    a package that the kind needs is not there; everything else that is wrong is rejected.
    """
    suffix = next(suffix for suffix in _READERS if file.path.name.lower().endswith(suffix))
    try:
        yield from _READERS[suffix](file, reject)
    except OSError as error:
        reject(file.document(""), f"cannot be read ({error.strerror or error})")


def is_readable(name: str) -> bool:
    """Whether a file of this name is of a kind that is read."""
    return name.lower().endswith(readable_suffixes())


def readable_suffixes() -> tuple[str, ...]:
    """The suffixes of the files that are read."""
    return tuple(_READERS)


def _read_text(file: InputFile, reject: Reject) -> Iterator[Document]:
    """A text file in UTF-8, or Python source in the encoding that it declares (PEP 263)."""
    with open(file.path, "rb") as raw:
        if b"\0" in raw.read(_BINARY_PROBE_BYTES):
            reject(file.document(""), "is binary, or not in UTF-8 (it holds NUL bytes)")
            return
    try:
        with open(file.path, encoding=_encoding(file.path), newline="") as text_file:
            for number, text in _parts(text_file):
                yield file.document(text, f"#{number}" if number else "")
    except UnicodeDecodeError as error:
        reject(file.document(""), f"is not valid {error.encoding} ({error.reason})")
    except (SyntaxError, LookupError) as error:  # the declared encoding is wrong or unknown
        reject(file.document(""), f"has no usable encoding ({error})")


def _encoding(path: Path) -> str:
    if path.suffix.lower() != ".py":
        return "utf-8-sig"
    with open(path, "rb") as raw:
        return tokenize.detect_encoding(raw.readline)[0]


def _parts(file: TextIO) -> Iterator[tuple[int, str]]:
    """The text in parts of at most `_TEXT_CHARS`, numbered from 1; number 0 is the whole text."""
    text = file.read(_TEXT_CHARS + 1)
    number = 0
    while len(text) > _TEXT_CHARS:
        end = paragraph_end(text, _TEXT_CHARS)
        number += 1
        yield number, text[:end]
        text = text[end:]
        text += file.read(_TEXT_CHARS + 1 - len(text))
    yield (number + 1 if number else 0), text


def _read_jsonl(file: InputFile, reject: Reject) -> Iterator[Document]:
    with open(file.path, "rb") as raw:
        yield from _documents(file, iter(lambda: raw.read(_READ_BYTES), b""), reject)


def _read_jsonl_zst(file: InputFile, reject: Reject) -> Iterator[Document]:
    try:
        import zstandard
    except ImportError as error:
        raise MissingExtraError("Reading .zst files", "curate") from error
    with open(file.path, "rb") as raw:
        try:
            yield from _documents(file, _decompressed(raw), reject)
        except zstandard.ZstdError as error:
            reject(file.document(""), f"is damaged or cut short ({error})")


def _decompressed(raw: BinaryIO) -> Iterator[bytes]:
    """The contents of all zstd frames; `ZstdError` where the last is not whole."""
    import zstandard

    frame = None
    while data := raw.read(_ZSTD_READ_BYTES):
        while data:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(data)
            data = frame.unused_data
            if frame.eof:
                frame = None
    if frame is not None:
        raise zstandard.ZstdError("the last frame is not whole")


def _documents(file: InputFile, chunks: Iterable[bytes], reject: Reject) -> Iterator[Document]:
    for number, line in enumerate(_lines(chunks), start=1):
        place = f":{number}"
        if line is None:
            reject(file.document("", place), f"is a line of more than {_LINE_BYTES:,} bytes")
            continue
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.strip():
            try:
                yield _json_document(file, line, place)
            except (ValueError, RecursionError) as error:
                reject(file.document("", place), _json_reason(error))


def _json_document(file: InputFile, line: bytes, place: str) -> Document:
    """Raises `ValueError` (malformed JSON and invalid UTF-8 included) or `RecursionError`."""
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")
    text = fields.get(file.text_field)
    if not isinstance(text, str):
        names = ", ".join(map(ascii, list(fields)[:8])) or "none"
        raise ValueError(f"has no string field '{file.text_field}' (its fields: {names})")
    if rb"\u" in line:  # an escape can spell half a surrogate pair, which UTF-8 cannot hold
        json.dumps(fields, ensure_ascii=False).encode("utf-8")
    document = file.document(text, place, fields.get("metadata"))
    if isinstance(fields.get("id"), str):
        document.id = fields["id"]
    return document


def _json_reason(error: Exception) -> str:
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


def _read_parquet(file: InputFile, reject: Reject) -> Iterator[Document]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Reading .parquet files", "curate") from error
    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            names = table.schema_arrow.names
            if file.text_field not in names:
                columns = ", ".join(names[:8])
                reason = f"has no column '{file.text_field}' (its columns: {columns})"
                reject(file.document(""), reason)
                return
            columns = [name for name in (file.text_field, "id") if name in names]
            yield from _rows(file, table.iter_batches(batch_size=1024, columns=columns), reject)
    except pyarrow.ArrowException as error:
        reject(file.document(""), f"is not valid Parquet ({str(error).splitlines()[0]})")


def _rows(file: InputFile, batches: Iterable[Any], reject: Reject) -> Iterator[Document]:
    number = 0
    for batch in batches:
        cells = batch.column(file.text_field)
        ids = batch.column("id") if "id" in batch.schema.names else [None] * len(cells)
        for cell, name in zip(cells, ids, strict=True):
            number += 1
            document = file.document("", f":{number}")
            try:
                text = cell.as_py()
            except UnicodeDecodeError as error:
                reject(document, f"is not valid {error.encoding} ({error.reason})")
                continue
            if not isinstance(text, str):
                reject(document, f"has no string in '{file.text_field}'")
                continue
            document.text = text
            if name is not None and isinstance(name.as_py(), str):
                document.id = name.as_py()
            yield document


_READERS: dict[str, Callable[[InputFile, Reject], Iterator[Document]]] = {
    ".txt": _read_text,
    ".md": _read_text,
    ".py": _read_text,
    ".html": read_html,
    ".htm": read_html,
    ".warc": read_warc,
    ".warc.gz": read_warc,
    ".warc.zst": read_warc,
    ".warc.wet": read_warc,
    ".warc.wet.gz": read_warc,
    ".arc": read_arc,
    ".arc.gz": read_arc,
    ".jsonl": _read_jsonl,
    ".jsonl.zst": _read_jsonl_zst,
    ".parquet": _read_parquet,
    ".pdf": read_pdf,
}
