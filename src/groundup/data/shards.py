"""Token shards: a corpus as integers on disk, read through a memory map.

    tokens-00000.bin    ids, little-endian uint16 (vocabularies up to 65,536) or uint32
    tokens-00000.idx    two uint64 a document: where it ends in this shard, in tokens, and its bytes
    shards.json         format, the tokenizer's fingerprint, counts (checksums: the manifest's)

A document is its ids followed by the end-of-text id. A shard ends with a document, so it holds
about `shard_tokens` and at least one document.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import atomic_file, read_json, sync, write_bytes, write_json
from groundup.core.progress import Advance
from groundup.data.encoding import Encoded, encode_documents, encode_files
from groundup.tokenizers import Tokenizer

FORMAT = 1
_INFO = "shards.json"
_INDEX = np.dtype("<u8")


def write_shards(
    directory: Path,
    documents: Iterable[str],
    tokenizer: Tokenizer,
    *,
    end_of_text: int,
    shard_tokens: int = 100_000_000,
    advance: Advance | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Encode the documents into shards below `directory`; returns counts.

    Holds a few documents and one shard's index in memory. `advance` is told the bytes of every
    document. threads: that encode; None for one a processor. Raises `InputError` where there is no
    document, or one with a lone surrogate.
    """
    encoded = encode_documents(documents, tokenizer, end_of_text, _dtype(tokenizer), threads)
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


def join_shards(parts: Sequence[Path], directory: Path) -> dict[str, Any]:
    """Make one folder of shards of several, in order; returns counts. The files are moved there and
    not read. Where that was cut off, it goes on. Raises `InputError` where there are none."""
    if not parts:
        raise InputError("there are no documents to encode.")
    directory.mkdir(parents=True, exist_ok=True)
    infos = [_read_info(part) for part in parts]
    shards: list[dict[str, Any]] = []
    for part, info in zip(parts, infos, strict=True):
        for shard in info["shards"]:
            name = f"tokens-{len(shards):05d}"
            for suffix in (".bin", ".idx"):
                old = part / f"{shard['name']}{suffix}"
                if old.exists():
                    old.rename(directory / f"{name}{suffix}")
            shards.append({**shard, "name": name})
    sync(directory)
    facts = {name: sum(info[name] for info in infos) for name in ("tokens", "documents", "bytes")}
    write_json(directory / _INFO, {**infos[0], **facts, "shards": shards})
    return facts


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
        write_bytes(directory / f"{name}.idx", np.asarray(index, dtype=_INDEX).tobytes())
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
    """The shards of a directory as one long stream of tokens.

    Tokens and index stay on disk and are mapped into memory: opening costs a few system calls a
    shard, whatever it holds.
    """

    def __init__(self, directory: Path, tokenizer_fingerprint: str):
        """Raises `ArtifactError` for a truncated shard, or one of another tokenizer or format."""
        info = _read_info(directory)
        if info["tokenizer"] != tokenizer_fingerprint:
            raise ArtifactError(
                f"{directory} was encoded with another tokenizer: encode the corpus again."
            )
        self.directory = directory
        shards, dtype = info["shards"], np.dtype(info["dtype"])
        self._tokens = [_map(directory / f"{s['name']}.bin", dtype, s["tokens"]) for s in shards]
        self._index = [
            _map(directory / f"{s['name']}.idx", _INDEX, 2 * s["documents"]).reshape(-1, 2)
            for s in shards
        ]
        # Where each shard begins in the stream, in tokens and in documents.
        self._starts = np.cumsum([0, *map(len, self._tokens)])
        self._documents = np.cumsum([0, *map(len, self._index)])

    def __len__(self) -> int:
        """Number of tokens."""
        return int(self._starts[-1])

    @property
    def n_documents(self) -> int:
        return int(self._documents[-1])

    @cached_property
    def document_ends(self) -> np.ndarray:
        """Where each document ends in the stream, in tokens: int64, all of them in memory."""
        parts = zip(self._index, self._starts[:-1], strict=True)
        return np.concatenate([part[:, 0].astype(np.int64) + start for part, start in parts])

    @cached_property
    def document_bytes(self) -> np.ndarray:
        """UTF-8 bytes of each document: int64, all of them in memory."""
        return np.concatenate([part[:, 1].astype(np.int64) for part in self._index])

    def read(self, start: int, count: int) -> np.ndarray:
        """Tokens start … start + count − 1, across shard borders: a new array [count].

        Raises `IndexError` where that reaches beyond the stream.
        """
        spans = self._spans(start, count)
        parts = [self._tokens[shard][first:last] for shard, first, last in spans]
        return np.concatenate(parts) if parts else np.empty(0, dtype=self._tokens[0].dtype)

    def documents(self, start: int, count: int) -> np.ndarray:
        """Which document, from 0, each of these tokens is of, its end of text included: int64
        [count]. Raises `IndexError` as `read` does."""
        parts = [np.empty(0, dtype=np.int64)]
        for shard, first, last in self._spans(start, count):
            ends = self._index[shard][:, 0]
            tokens = np.arange(first, last, dtype=ends.dtype)  # one type, or the ends are copied
            low, high = np.searchsorted(ends, tokens[[0, -1]], side="right")
            inside = np.searchsorted(ends[low:high], tokens, side="right")
            parts.append(self._documents[shard] + low + inside)
        return np.concatenate(parts)

    def _spans(self, start: int, count: int) -> Iterator[tuple[int, int, int]]:
        """The shards that hold these tokens; and in each, the first and the one after the last."""
        if start < 0 or start + count > len(self):
            raise IndexError(f"tokens {start} to {start + count} of {len(self)}")
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        while count > 0:
            first = start - int(self._starts[shard])
            last = min(first + count, len(self._tokens[shard]))
            yield shard, first, last
            start, count, shard = start + last - first, count - (last - first), shard + 1


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


def _map(path: Path, dtype: np.dtype, count: int) -> np.ndarray:
    """`count` numbers of a file, mapped. Raises `ArtifactError` where it holds more or fewer."""
    _check_size(path, count * dtype.itemsize)
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)  # whose slices cost less


def _check_size(path: Path, size: int) -> None:
    if not path.exists():
        raise ArtifactError(f"{path} is missing: encode the corpus again.")
    if path.stat().st_size != size:
        raise ArtifactError(
            f"{path} has {path.stat().st_size} bytes where {size} were written: it is truncated or "
            "damaged; encode the corpus again."
        )
