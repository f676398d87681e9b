"""Exact deduplication: of documents that differ in white space alone, the first is kept.

Costs one hash a document; memory grows by about 200 bytes a document that is kept.
"""

import hashlib
from collections.abc import Iterable, Iterator

from groundup.curate.document import Document, Reject


def deduplicate(documents: Iterable[Document], reject: Reject) -> Iterator[Document]:
    """The documents without repeats; the reason of a reject names the one that was kept."""
    kept: dict[bytes, str] = {}
    for document in documents:
        digest = content_digest(document.text)
        if digest in kept:
            reject(document, f"has the text of {kept[digest]}")
        else:
            kept[digest] = document.id
            yield document


def content_digest(text: str) -> bytes:
    """16 bytes that texts have in common only if they are equal up to white space (BLAKE2b)."""
    words = " ".join(text.split())
    return hashlib.blake2b(words.encode("utf-8"), digest_size=16).digest()
