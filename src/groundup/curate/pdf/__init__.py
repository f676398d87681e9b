"""The text of PDF files."""

from groundup.curate.pdf.reader import pdf_document, read_pdf

__all__ = ["pdf_document", "read_pdf"]
