"""The text of PDF files."""

from groundup.curate.pdf.reader import read_pdf

__all__ = ["read_pdf"]
