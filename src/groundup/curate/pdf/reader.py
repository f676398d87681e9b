"""PDF files as documents."""

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from groundup.core.errors import MissingExtraError
from groundup.curate.document import Document, Reject
from groundup.curate.input_file import InputFile
from groundup.curate.pdf.characters import Box, read_spans
from groundup.curate.pdf.layout import Line, read_regions
from groundup.curate.pdf.paragraphs import join_lines
from groundup.curate.pdf.repeats import running_lines
from groundup.curate.time_limit import TimeLimitError, within

_SECONDS = 60.0  # some 5,000 pages
_PAGES = 10_000
_CHARS = 16 << 20
_EDGE = 1024  # bytes from the beginning and the end of a file, in which its marks must be
_END_BYTES = 64 << 10  # of blanks that may follow the end
_NOWHERE = Box(0, 0, 0, 0)


def read_pdf(file: InputFile, reject: Reject) -> Iterator[Document]:
    """The document of a PDF file, see `pdf_document`."""
    yield from pdf_document(file, file.path, reject)


def pdf_document(
    file: InputFile,
    contents: Path | bytes,
    reject: Reject,
    place: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[Document]:
    """The text of a PDF, in the order of reading, as the document at that place of the file.

    Lines are put together to paragraphs, divided words made whole, and running heads, feet and
    page numbers left out. A PDF is rejected that needs a password, is damaged or cut short, has no
    text (scans), or is longer than 10,000 pages or 16 million characters.
    """
    known = dict(metadata or {})
    try:
        text, pages = within(_SECONDS, _read, contents)
    except (ValueError, TimeLimitError) as error:
        reject(file.document("", place, known), str(error))
    except RecursionError:
        reject(file.document("", place, known), "has columns within columns too deep to be read")
    else:
        yield file.document(text, place, {**known, "pages": pages})


def _read(contents: Path | bytes) -> tuple[str, int]:
    """The text, and how many pages there are; `ValueError` with the reason where it has none."""
    try:
        from pypdfium2 import PdfDocument, PdfiumError, raw
    except ImportError as error:
        raise MissingExtraError("Reading PDF files", "curate") from error
    with open(contents, "rb") if isinstance(contents, Path) else io.BytesIO(contents) as raw_file:
        _check_marks(raw_file)
    try:
        with PdfDocument(contents) as pdf:
            pages = list(_pages(pdf))
    except PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise ValueError("needs a password") from error
        raise ValueError(f"is damaged ({error})") from error
    running = running_lines([[line for region in page for line in region] for page in pages])
    regions = [
        [line for line in region if line not in left_out]
        for page, left_out in zip(pages, running, strict=True)
        for region in page
    ]
    text = join_lines([region for region in regions if region])
    if not text:
        raise ValueError("has no text (its pages are pictures, or empty)")
    return text, len(pages)


def _check_marks(file: BinaryIO) -> None:
    """Only some damage keeps PDFium from reading: it makes what it can of a file's first half."""
    beginning = file.read(_EDGE)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES))
    end = file.read().rstrip(b"\0\t\n\f\r ")[-_EDGE:]
    if b"%PDF-" not in beginning:
        raise ValueError("is no PDF (it does not begin with %PDF-)")
    if b"%%EOF" not in end:
        raise ValueError("is cut short (it does not end with %%EOF)")


def _pages(pdf: Any) -> Iterator[list[list[Line]]]:
    """The regions of each page, one page open at a time."""
    if len(pdf) > _PAGES:
        raise ValueError(f"has {len(pdf):,} pages, more than {_PAGES:,}")
    chars = 0
    for number in range(len(pdf)):
        page = pdf[number]
        try:
            along, across = read_spans(page.get_textpage())
        finally:
            page.close()
        regions = [*read_regions(along), *([Line(text, _NOWHERE)] for text in across)]
        chars += sum(len(line.text) for region in regions for line in region)
        if chars > _CHARS:
            raise ValueError(f"has more than {_CHARS:,} characters")
        yield regions
