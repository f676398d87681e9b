"""Documents that are there more than once, exactly or nearly: the steps that leave one of each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from groundup.curate.document import Document, decode_document
from groundup.curate.duplicates.digest import content_digest
from groundup.curate.duplicates.near import (
    Nearness,
    candidates,
    count_documents,
    leave,
    sign,
    verify,
)
from groundup.curate.duplicates.repeats import find_repeats, parts_of, repeats_of, write_keys
from groundup.curate.notes import Notes
from groundup.curate.step import Apply, Task

_SAME, _ALIKE = "has the text of", "is nearly"  # what is told of a reject, before the other's id
_SIGNED_PART = 1 << 22  # documents whose keys of one band a task sorts: some 200 MB
_PAIRS_PART = 1 << 20  # documents whose pairs a task verifies


@dataclass(frozen=True, kw_only=True)
class ExactDuplicates:
    """Of documents that differ in white space alone, the first is kept."""

    title: ClassVar[str] = "exact duplicates"

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        """Where all documents come in one stream: holds some 200 bytes of each that is kept."""
        kept: dict[bytes, str] = {}
        for document in documents:
            digest = content_digest(document.text)
            if digest in kept:
                _reject(document, kept[digest], _SAME, notes)
            else:
                kept[digest] = document.id
                yield document

    def passes(self, shards: Sequence[Path], folder: Path, /) -> Iterator[Sequence[Task]]:
        keys = _of_shards(folder, "keys", shards)
        yield [Task(_write_digests, pair) for pair in zip(shards, keys, strict=True)]
        parts = parts_of(keys)
        yield [Task(find_repeats, (keys, n, parts, _part(folder, n))) for n in range(parts)]

    def of_shard(self, shards: Sequence[Path], folder: Path, shard: int, /) -> Apply:
        keys = _of_shards(folder, "keys", shards)
        return _Left(_SAME, shards, keys, folder, shard).apply


@dataclass(frozen=True, kw_only=True)
class NearDuplicates(Nearness):
    """Of documents that a chain of near-duplicates joins, the best is kept."""

    title: ClassVar[str] = "near-duplicates"

    def passes(self, shards: Sequence[Path], folder: Path, /) -> Iterator[Sequence[Task]]:
        signed = _of_shards(folder, "signed", shards)
        yield [Task(sign, (*pair, self)) for pair in zip(shards, signed, strict=True)]
        documents = sum(count_documents(signed))
        parts = documents // _SIGNED_PART + 1
        found = {
            (band, part): folder / "candidates" / f"{band:03}-{part:05}.npy"
            for band in range(self.bands)
            for part in range(parts)
        }
        yield [Task(candidates, (signed, *of, parts, to)) for of, to in found.items()]
        parts = documents // _PAIRS_PART + 1
        verified = [folder / "verified" / f"{part:05}.npy" for part in range(parts)]
        pairs = [*found.values()]
        yield [
            Task(verify, (shards, signed, pairs, part, parts, to, self))
            for part, to in enumerate(verified)
        ]
        yield [Task(leave, (signed, verified, _part(folder, 0)))]

    def of_shard(self, shards: Sequence[Path], folder: Path, shard: int, /) -> Apply:
        signed = _of_shards(folder, "signed", shards)
        return _Left(_ALIKE, shards, signed, folder, shard).apply


@dataclass(frozen=True)
class _Left:
    """What is left of a shard: documents that repeat others, as the files in `repeats` of the
    folder say, are rejected.

    told: the reason, before the id of the one that is kept. indexes: of each shard, a folder with
    `offsets.npy`, where its lines begin.
    """

    told: str
    shards: Sequence[Path]
    indexes: Sequence[Path]
    folder: Path
    shard: int

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        found = sorted((self.folder / "repeats").glob("*.npy"))
        repeats = repeats_of(found, self.shard)
        rows = zip(*(column.tolist() for column in repeats), strict=True)
        row = next(rows, None)
        for number, document in enumerate(documents):
            if row is None or number != row[0]:
                yield document
                continue
            _reject(document, self._id(row[1], row[2]), self.told, notes)
            row = next(rows, None)

    def _id(self, shard: int, number: int) -> str:
        offsets = np.load(self.indexes[shard] / "offsets.npy", mmap_mode="r")
        with open(self.shards[shard], "rb") as file:
            file.seek(offsets[number])
            return decode_document(file.readline()).id


def _reject(document: Document, kept: str, told: str, notes: Notes) -> None:
    document.metadata["duplicate_of"] = kept
    notes.reject(document, f"{told} {kept}", f"{told} another")


def _write_digests(shard: Path, to: Path) -> None:
    if to.exists():
        return
    offsets, digests = [0], []
    with open(shard, "rb") as lines:
        for line in lines:
            offsets.append(offsets[-1] + len(line))
            digests.append(content_digest(decode_document(line).text))
    keys = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
    write_keys(keys, to, offsets=np.array(offsets, dtype=np.int64))


def _of_shards(folder: Path, name: str, shards: Sequence[Path]) -> list[Path]:
    return [folder / name / f"{number:05}" for number in range(len(shards))]


def _part(folder: Path, part: int) -> Path:
    return folder / "repeats" / f"{part:05}.npy"
