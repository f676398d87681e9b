"""Long texts cut into consecutive parts, at the end of a paragraph where there is one."""

from collections.abc import Iterator

from groundup.curate.document import Document


def cut_document(document: Document, max_bytes: int) -> Iterator[Document]:
    """The document itself where it is no longer than `max_bytes`, else its parts in order.

    A part is called `id#1`, `id#2`, … and the parts' texts joined are the document's text. Sizes
    are those of UTF-8, counted with the document's own mean of bytes a character: about
    `max_bytes` for a part of a text in one script.
    """
    size = document.size
    if size <= max_bytes:
        yield document
        return
    max_chars = max(1, max_bytes * len(document.text) // size)
    start = number = 0
    while start < len(document.text):
        end = start + paragraph_end(document.text[start : start + max_chars + 1], max_chars)
        number += 1
        yield Document(
            text=document.text[start:end],
            id=f"{document.id}#{number}",
            source=document.source,
            metadata=document.metadata,
        )
        start = end


def paragraph_end(text: str, max_chars: int) -> int:
    """Where to cut: after the last blank line within the first `max_chars` characters.

    Where there is no blank line in the second half of them, after the last line; else after the
    last space; else at `max_chars`. A text that is no longer is not cut.
    """
    if len(text) <= max_chars:
        return len(text)
    for boundary in ("\n\n", "\n", " "):
        end = text.rfind(boundary, max_chars // 2, max_chars)
        if end >= 0:
            return end + len(boundary)
    return max_chars
