"""Tables as text (CSV, RFC 4180, and TSV): a document a row, whose text is in a named column."""

import csv
import io
from collections.abc import Iterator

from groundup.curate.document import Document, Reject
from groundup.curate.formats.streams import open_bytes
from groundup.curate.formats.text import text_encoding
from groundup.curate.input_file import InputFile

_CELL_CHARS = 16 << 20  # a longer one is rejected: a quotation mark was not closed, most likely


def read_csv(file: InputFile, reject: Reject) -> Iterator[Document]:
    """A table whose first row names the columns, separated by tabs (`.tsv`), commas or semicolons.

    A column `id`, if there is one, names the documents. A row that has not as many cells as the
    first is rejected.
    """
    csv.field_size_limit(_CELL_CHARS)
    try:
        with open_bytes(file.path) as raw:
            encoding = text_encoding(raw, file.path.name)
            with io.TextIOWrapper(raw, encoding, newline="") as table:
                yield from _rows(file, table, reject)
    except UnicodeDecodeError as error:
        reject(file.document(""), f"is not valid {error.encoding} ({error.reason})")
    except (ValueError, csv.Error) as error:
        reject(file.document(""), f"is no table that can be read ({error})")


def _rows(file: InputFile, table: io.TextIOWrapper, reject: Reject) -> Iterator[Document]:
    lines = _lines(table)
    header = next(lines, "")
    separators = "\t" if ".tsv" in file.path.name.lower() else ",;"
    separator = max(separators, key=header.count)
    columns = next(csv.reader([header], delimiter=separator), [])
    wanted = file.reading.text_field
    if wanted not in columns:
        names = ", ".join(columns[:8]) or "none"
        reject(file.document(""), f"has no column '{wanted}' (its columns: {names})")
        return
    text, name = columns.index(wanted), columns.index("id") if "id" in columns else None
    rows = (row for row in csv.reader(lines, delimiter=separator) if row)
    for number, row in enumerate(rows, start=1):
        place = f":{number}"
        if len(row) != len(columns):
            reason = f"is a row of {len(row):,} cells, where the first has {len(columns):,}"
            reject(file.document("", place), reason)
            continue
        document = file.document(row[text], place)
        if name is not None and row[name]:
            document.id = row[name]
        yield document


def _lines(table: io.TextIOWrapper) -> Iterator[str]:
    """As reading gives them, but none that would fill the memory."""
    while line := table.readline(_CELL_CHARS):
        if len(line) == _CELL_CHARS:
            raise ValueError(f"a line is longer than {_CELL_CHARS:,} characters")
        yield line
