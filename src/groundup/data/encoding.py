"""Documents and files as arrays of token ids, on all processors, in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groundup.core.errors import InputError
from groundup.tokenizers import Tokenizer
from groundup.tokenizers.parts import text_parts

_AT_ONCE = 1 << 20  # characters of documents that the threads share


@dataclass(frozen=True)
class Encoded:
    """Some of a document's ids [tokens], the UTF-8 bytes that they are of, and whether it ends
    with them."""

    ids: np.ndarray
    bytes: int
    last: bool


def encode_documents(
    documents: Iterable[str],
    tokenizer: Tokenizer,
    end_of_text: int,
    dtype: np.dtype,
    threads: int | None = None,
) -> Iterator[Encoded]:
    """Each document whole, `end_of_text` behind it. threads: None for one a processor. Raises
    `InputError` for a lone surrogate."""
    waiting: list[str] = []
    characters = 0
    for text in documents:
        waiting.append(text)
        characters += len(text)
        if characters >= _AT_ONCE:
            yield from _encode_batch(waiting, tokenizer, end_of_text, dtype, threads)
            waiting, characters = [], 0
    yield from _encode_batch(waiting, tokenizer, end_of_text, dtype, threads)


def _encode_batch(
    texts: list[str],
    tokenizer: Tokenizer,
    end_of_text: int,
    dtype: np.dtype,
    threads: int | None,
) -> Iterator[Encoded]:
    ids, ends = tokenizer.encode_to_numpy(texts, threads)
    ids, start = ids.astype(dtype), 0
    for text, end in zip(texts, ends.tolist(), strict=True):
        size = len(text) if text.isascii() else len(text.encode("utf-8"))
        yield Encoded(np.append(ids[start:end], dtype.type(end_of_text)), size, last=True)
        start = end


def encode_files(
    paths: Iterable[Path], tokenizer: Tokenizer, end_of_text: int, dtype: np.dtype
) -> Iterator[Encoded]:
    """Each file as a document, in parts: a file need not fit into memory.

    Raises `InputError` for a file that is not UTF-8, and `OSError` for one that cannot be read.
    """
    for path in paths:
        try:
            with open(path, encoding="utf-8", newline="") as file:
                for part in text_parts(file, tokenizer):
                    ids, _ = tokenizer.encode_to_numpy([part])
                    size = len(part) if part.isascii() else len(part.encode("utf-8"))
                    yield Encoded(ids.astype(dtype), size, last=False)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is not UTF-8 ({error.reason}): convert it, or leave it out."
            ) from error
        yield Encoded(np.array([end_of_text], dtype=dtype), 0, last=True)
