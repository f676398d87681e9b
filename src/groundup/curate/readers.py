"""Files as streams of documents: which kinds are read, and by whom.

A file or a part of it that cannot be read never stops a run: it is rejected with the reason, and
reading goes on behind it. Memory is bounded whatever the file's size.
"""

from collections.abc import Callable, Iterator

from groundup.curate.document import Document, Reject
from groundup.curate.formats.csv_rows import read_csv
from groundup.curate.formats.json_array import read_json
from groundup.curate.formats.json_lines import read_json_lines
from groundup.curate.formats.notebooks import read_notebook
from groundup.curate.formats.source_code import language_of, read_source
from groundup.curate.formats.tables import read_arrow, read_parquet
from groundup.curate.formats.text import read_text
from groundup.curate.input_file import InputFile
from groundup.curate.pdf import read_pdf
from groundup.curate.web import read_arc, read_html, read_warc

Reader = Callable[[InputFile, Reject], Iterator[Document]]

_READERS: dict[str, Reader] = {
    ".txt": read_text,
    ".txt.gz": read_text,
    ".md": read_text,
    ".markdown": read_text,
    ".rst": read_text,
    ".tex": read_text,
    ".html": read_html,
    ".html.gz": read_html,
    ".htm": read_html,
    ".warc": read_warc,
    ".warc.gz": read_warc,
    ".warc.zst": read_warc,
    ".warc.wet": read_warc,
    ".warc.wet.gz": read_warc,
    ".arc": read_arc,
    ".arc.gz": read_arc,
    ".pdf": read_pdf,
    ".ipynb": read_notebook,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".jsonl.zst": read_json_lines,
    ".json": read_json,
    ".json.gz": read_json,
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".tsv": read_csv,
    ".tsv.gz": read_csv,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
}
# What package managers write for themselves, in kinds of files that are read.
_LOCK_FILES = ("package-lock.json", "npm-shrinkwrap.json", "packages.lock.json", "pnpm-lock.yaml")


def read_file(file: InputFile, reject: Reject) -> Iterator[Document]:
    """The file's documents, in order.

    The kind is told by the name (`is_readable`). Raises `MissingExtraError` where a package that
    the kind needs is not there; everything else that is wrong is rejected.
    """
    if file.path.name.lower() in _LOCK_FILES:
        reject(file.document(""), "is a lock file, which a package manager wrote")
        return
    try:
        yield from _reader(file.path.name)(file, reject)
    except OSError as error:
        reject(file.document(""), f"cannot be read ({error.strerror or error})")


def is_readable(name: str) -> bool:
    """Whether a file of this name is of a kind that is read."""
    return language_of(name) is not None or name.lower().endswith(tuple(_READERS))


def readable_kinds() -> str:
    """What is read, for a sentence; the names of compressed files are not told."""
    suffixes = [suffix for suffix in _READERS if suffix.count(".") == 1]
    return f"files that end in {', '.join(suffixes)}, and source code"


def _reader(name: str) -> Reader:
    if language_of(name):
        return read_source
    return next(reader for suffix, reader in _READERS.items() if name.lower().endswith(suffix))
