"""Token shards: a corpus as integers on disk, read through a memory map.

    tokens-00000.bin    ids, little-endian uint16 (vocabularies up to 65,536) or uint32
    tokens-00000.idx    two uint64 a document: where it ends in this shard, in tokens, and its bytes
    shards.json         format, the tokenizer's fingerprint, counts (checksums: the manifest's)

A document is its ids followed by the end-of-text id. A shard ends with a document, so it holds
about `shard_tokens` and at least one document.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import atomic_file, read_json, write_bytes, write_json
from groundup.core.progress import Advance
from groundup.data.encoding import Encoded, encode_documents, encode_files
from groundup.tokenizers import Tokenizer

FORMAT = 1
_INFO = "shards.json"


def write_shards(
    directory: Path,
    documents: Iterable[str],
    tokenizer: Tokenizer,
    *,
    end_of_text: int,
    shard_tokens: int = 100_000_000,
    advance: Advance | None = None,
) -> dict[str, Any]:
    """Encode the documents into shards below `directory`; returns counts.

    Holds a few documents and one shard's index in memory. `advance` is told the bytes of every
    document. Raises `InputError` where there is no document, or one with a lone surrogate.
    """
    encoded = encode_documents(documents, tokenizer, end_of_text, _dtype(tokenizer))
    return _write(directory, encoded, tokenizer, shard_tokens, advance)


def write_file_shards(
    directory: Path,
    paths: Iterable[Path],
    tokenizer: Tokenizer,
    *,
    end_of_text: int,
    shard_tokens: int = 100_000_000,
    advance: Advance | None = None,
) -> dict[str, Any]:
    """The same for files of UTF-8, each a document, which need not fit into memory.

    Raises `InputError` where there is no file, or one that is not UTF-8.
    """
    encoded = encode_files(paths, tokenizer, end_of_text, _dtype(tokenizer))
    return _write(directory, encoded, tokenizer, shard_tokens, advance)


def _dtype(tokenizer: Tokenizer) -> np.dtype:
    return np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")


def _write(
    directory: Path,
    encoded: Iterator[Encoded],
    tokenizer: Tokenizer,
    shard_tokens: int,
    advance: Advance | None,
) -> dict[str, Any]:
    shards: list[dict[str, Any]] = []
    text_bytes = 0
    for first in encoded:
        name = f"tokens-{len(shards):05d}"
        parts = chain([first], encoded)
        index = _write_ids(directory / f"{name}.bin", parts, shard_tokens, advance)
        write_bytes(directory / f"{name}.idx", np.asarray(index, dtype="<u8").tobytes())
        shards.append({"name": name, "tokens": index[-1][0], "documents": len(index)})
        text_bytes += sum(size for _, size in index)
    if not shards:
        raise InputError("there are no documents to encode.")
    facts = {
        "tokens": sum(shard["tokens"] for shard in shards),
        "documents": sum(shard["documents"] for shard in shards),
        "bytes": text_bytes,
    }
    info = {
        "format": FORMAT,
        "dtype": _dtype(tokenizer).str,
        "tokenizer": tokenizer.fingerprint,
    }
    write_json(directory / _INFO, {**info, **facts, "shards": shards})
    return facts


def _write_ids(
    path: Path, encoded: Iterator[Encoded], shard_tokens: int, advance: Advance | None
) -> list[tuple[int, int]]:
    """Write documents until the shard is full; returns where each ends, and its bytes."""
    index: list[tuple[int, int]] = []
    tokens = size = 0
    with atomic_file(path) as file:
        for part in encoded:
            file.write(part.ids.tobytes())
            tokens, size = tokens + len(part.ids), size + part.bytes
            if advance is not None:
                advance(part.bytes)
            if not part.last:
                continue
            index.append((tokens, size))
            size = 0
            if tokens >= shard_tokens:
                break
    return index


class TokenShards:
    """The shards of a directory as one long stream of tokens."""

    def __init__(self, directory: Path, tokenizer_fingerprint: str):
        """Raises `ArtifactError` for a truncated shard, or one of another tokenizer or format."""
        info = _read_info(directory)
        if info["tokenizer"] != tokenizer_fingerprint:
            raise ArtifactError(
                f"{directory} was encoded with another tokenizer: encode the corpus again."
            )
        dtype = np.dtype(info["dtype"])
        self._maps = [_map(directory, shard, dtype) for shard in info["shards"]]
        self._starts = np.cumsum([0, *(len(tokens) for tokens in self._maps)])
        index = [_index(directory, shard) for shard in info["shards"]]
        ends = [part[:, 0] + start for part, start in zip(index, self._starts, strict=False)]
        # Where each document ends in the stream, in tokens; and its UTF-8 bytes.
        self.document_ends = np.concatenate(ends)
        self.document_bytes = np.concatenate([part[:, 1] for part in index])

    def __len__(self) -> int:
        """Number of tokens."""
        return int(self._starts[-1])

    @property
    def n_documents(self) -> int:
        return len(self.document_ends)

    def read(self, start: int, count: int) -> np.ndarray:
        """Tokens start … start + count − 1, across shard borders: a new array [count].

        Raises `IndexError` where that reaches beyond the stream.
        """
        if start < 0 or start + count > len(self):
            raise IndexError(f"tokens {start} to {start + count} of {len(self)}")
        parts = []
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        while count > 0:
            offset = start - int(self._starts[shard])
            part = self._maps[shard][offset : offset + count]
            parts.append(part)
            start, count, shard = start + len(part), count - len(part), shard + 1
        return np.concatenate(parts) if parts else np.empty(0, dtype=self._maps[0].dtype)


def _read_info(directory: Path) -> dict[str, Any]:
    path = directory / _INFO
    info = read_json(path)
    if not isinstance(info, dict) or not {"format", "dtype", "tokenizer", "shards"} <= info.keys():
        raise ArtifactError(f"{path} does not describe token shards: encode the corpus again.")
    if info["format"] != FORMAT:
        raise ArtifactError(
            f"{path} has format {info['format']}, and this groundup reads {FORMAT}: "
            "encode the corpus again."
        )
    return info


def _map(directory: Path, shard: dict[str, Any], dtype: np.dtype) -> np.ndarray:
    path = directory / f"{shard['name']}.bin"
    _check_size(path, shard["tokens"] * dtype.itemsize)
    return np.memmap(path, dtype=dtype, mode="r")


def _index(directory: Path, shard: dict[str, Any]) -> np.ndarray:
    path = directory / f"{shard['name']}.idx"
    _check_size(path, shard["documents"] * 16)
    return np.fromfile(path, dtype="<u8").astype(np.int64).reshape(-1, 2)


def _check_size(path: Path, size: int) -> None:
    if not path.exists():
        raise ArtifactError(f"{path} is missing: encode the corpus again.")
    if path.stat().st_size != size:
        raise ArtifactError(
            f"{path} has {path.stat().st_size} bytes where {size} were written: it is truncated or "
            "damaged; encode the corpus again."
        )
