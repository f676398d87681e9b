"""Tables of columns (Parquet, Arrow): a document a row, whose text is in a named column.

Arrow files, in the format of streams or of files, are what `datasets` of Hugging Face saves to the
disk.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Any

from groundup.core.errors import MissingExtraError
from groundup.curate.document import Document, Reject
from groundup.curate.input_file import InputFile

_DAMAGE = (OSError, UnicodeDecodeError, MemoryError)  # a length or a name that is none
_ARROW_END = b"\0\0\0\0"  # of a stream
_ARROW_FILE = b"ARROW1"  # how Arrow's format of files begins


def read_parquet(file: InputFile, reject: Reject) -> Iterator[Document]:
    """The rows of a Parquet file; a column `id`, if there is one, names the documents."""
    pyarrow = _pyarrow("Reading .parquet files")
    with open(file.path, "rb") as raw:
        try:
            table = pyarrow.parquet.ParquetFile(raw)
            names = table.schema_arrow.names
            if _has_column(file, names, reject):
                columns = [name for name in (file.reading.text_field, "id") if name in names]
                batches = table.iter_batches(batch_size=1024, columns=columns)
                yield from _rows(file, batches, reject)
        except (pyarrow.ArrowException, *_DAMAGE) as error:
            reject(file.document(""), f"is not valid Parquet ({_first_line(error)})")


def read_arrow(file: InputFile, reject: Reject) -> Iterator[Document]:
    """The rows of an Arrow file; a column `id`, if there is one, names the documents."""
    pyarrow = _pyarrow("Reading .arrow files")
    with open(file.path, "rb") as raw:
        try:
            source = pyarrow.PythonFile(raw)
            if raw.read(len(_ARROW_FILE)) == _ARROW_FILE:
                table = pyarrow.ipc.open_file(source)
                batches = map(table.get_batch, range(table.num_record_batches))
            else:
                raw.seek(0)
                table = batches = pyarrow.ipc.open_stream(source)
            if _has_column(file, table.schema.names, reject):
                yield from _rows(file, map(_validated, batches), reject)
            raw.seek(-len(_ARROW_END), os.SEEK_END)
            if table is batches and raw.read() != _ARROW_END:
                reject(file.document(""), "is cut short (the end of the stream is not there)")
        except (pyarrow.ArrowException, *_DAMAGE) as error:
            reject(file.document(""), f"is not valid Arrow ({_first_line(error)})")


def _pyarrow(feature: str) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(feature, "curate") from error
    return pyarrow


def _validated(batch: Any) -> Any:
    batch.validate(full=True)  # lengths in a damaged file may lead out of it
    return batch


def _has_column(file: InputFile, names: list[str], reject: Reject) -> bool:
    if file.reading.text_field in names:
        return True
    columns = ", ".join(names[:8])
    reject(file.document(""), f"has no column '{file.reading.text_field}' (its columns: {columns})")
    return False


def _rows(file: InputFile, batches: Iterable[Any], reject: Reject) -> Iterator[Document]:
    number = 0
    for batch in batches:
        cells = batch.column(file.reading.text_field)
        ids = batch.column("id") if "id" in batch.schema.names else [None] * len(cells)
        for cell, name in zip(cells, ids, strict=True):
            number += 1
            document = file.document("", f":{number}")
            try:
                text, own_id = cell.as_py(), name and name.as_py()
            except UnicodeDecodeError as error:
                reject(document, f"is not valid {error.encoding} ({error.reason})")
                continue
            if not isinstance(text, str):
                reject(document, f"has no string in '{file.reading.text_field}'")
                continue
            document.text = text
            if isinstance(own_id, str):
                document.id = own_id
            yield document


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
