"""One spelling for what reads the same: newlines, invisible marks, trailing blanks, Unicode.

What is done is safe for prose and for source code:

- NFC (Unicode Standard Annex #15) replaces only canonically equivalent sequences, which look and
  mean the same: e with a combining acute becomes é. Identifiers keep their identity in Python,
  which compares them under NFKC (PEP 3131), and NFKC(NFC(x)) = NFKC(x). NFKC itself is not used:
  it would turn x² into x2 and ﬁ into fi.
- Blanks at the ends of lines are removed. No language gives them meaning outside of string
  literals, save the hard line break of Markdown, whose newline stays.
- Indentation, blank lines between paragraphs and form feeds stay as they are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from groundup.core.unicode import normal_form
from groundup.curate.document import Document
from groundup.curate.notes import Notes


@dataclass(frozen=True, kw_only=True)
class Normalize:
    """The documents with their texts normalised."""

    title: ClassVar[str] = "normalise"

    def apply(self, documents: Iterable[Document], _notes: Notes, /) -> Iterator[Document]:
        for document in documents:
            document.text = normalize_text(document.text)
            yield document


def normalize_text(text: str) -> str:
    r"""Normalise a text; doing it twice changes nothing more.

    NUL characters and a leading byte order mark go, newlines are `\n`, the text is in NFC, lines
    end without blanks, and the text begins with a line that is not blank and ends with one
    newline. A text of nothing but blanks becomes empty.
    """
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    text = normal_form("NFC", text)
    text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    text = text.lstrip("\ufeff\n").rstrip("\n")
    return text + "\n" if text else ""
