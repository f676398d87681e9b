"""Near-duplicates of a corpus of any size: MinHash, banding, verification, clusters.

    sign        each shard: signatures, and for every band the documents sorted by its key
    candidates  each band and part of the keys: pairs of documents with the same key
    verify      each part of the pairs: their true Jaccard similarity, from the texts
    leave       the documents that a chain of verified pairs joins: one of them is kept

A band is a few of a signature's numbers, and its key a hash of them. Two documents of similarity J
have the same key in at least one of b bands of r numbers with the probability 1 − (1 − J^r)^b
(Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4): 0.998 for J = 0.8, 20
bands of 6.

Each line above is a number of tasks that read files and write one, so that they run in one process
or on many machines, and none that was finished runs again. None holds more than a part: keys are
sorted within each shard, so that a part of them is a slice of each file. Only what is left is found
in one place, which holds 24 bytes for each verified pair.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundup.core.files import atomic_file
from groundup.curate.batches import in_batches
from groundup.curate.document import Document, decode_document
from groundup.curate.duplicates.minhash import NONE, MinHash, Signatures
from groundup.curate.duplicates.repeats import Numbers, write_arrays, write_repeats
from groundup.curate.duplicates.shingles import BASE, Hashes, jaccard, shingles
from groundup.curate.duplicates.union_find import UnionFind

_NEIGHBOURS = 16  # with which each of those of one key is compared, and with the first of them
_SLACK = 4  # deviations of an estimate below the threshold that a pair may have and be verified
_HELD = 8 << 20  # shingles that are held at a time: 64 MB
_OPEN = 100  # shards whose files a task has open


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """When two documents are near-duplicates, and which of them is better.

    threshold: their Jaccard similarity is at least that. bands, rows: so many bands of so many of
    the signature's numbers. best: the one that is kept: the `first`, the `longest`, or the one
    that has the most of what is called so in its metadata; of equals the first.
    """

    threshold: float = 0.8
    bands: int = 20
    rows: int = 6
    minhash: MinHash = field(default_factory=MinHash)
    best: str = "longest"

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError("the threshold is above 0 and at most 1")
        if self.bands < 1 or self.rows < 1 or self.bands * self.rows > self.minhash.permutations:
            raise ValueError("bands times rows are at least 1 and at most the permutations")

    def probability(self, similarity: float) -> float:
        """That two documents of this similarity become a candidate pair."""
        return 1 - (1 - similarity**self.rows) ** self.bands

    def rank(self, document: Document) -> float:
        """Of two near-duplicates, the one of the higher rank is kept."""
        if self.best == "longest":
            return len(document.text)
        value = document.metadata.get(self.best)
        return float(value) if isinstance(value, int | float) else -math.inf


class Pairs(NamedTuple):
    """Documents by their numbers in the corpus, first < second, sorted; and their similarity."""

    first: Numbers
    second: Numbers
    similarity: NDArray[np.float64]


@dataclass(frozen=True)
class Signed:
    """What `sign` wrote for a shard of n documents. Each array is mapped into memory when it is
    asked for, as a process may not have many files open."""

    folder: Path

    @cached_property
    def offsets(self) -> Numbers:
        """[n + 1], where each line begins."""
        return self._load("offsets")

    @cached_property
    def ranks(self) -> NDArray[np.float64]:
        """[n]"""
        return self._load("ranks")

    @cached_property
    def signatures(self) -> Signatures:
        """[n, P]"""
        return self._load("signatures")

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """[bands, m], of the m documents that have words, each row sorted."""
        return self._load("keys")

    @cached_property
    def order(self) -> NDArray[np.uint32]:
        """[bands, m], the documents in the order of the keys."""
        return self._load("order")

    def _load(self, name: str) -> NDArray[Any]:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")


def sign(shard: Path, to: Path, config: Nearness) -> None:
    """Write the folder `to` for a shard of JSON lines; nothing where it is there."""
    if to.exists():
        return
    offsets, ranks, batches = [0], [], [config.minhash.signatures([])]

    def documents() -> Iterator[Document]:
        with open(shard, "rb") as lines:
            for line in lines:
                offsets.append(offsets[-1] + len(line))
                yield decode_document(line)

    for batch in in_batches(documents()):
        ranks += [config.rank(document) for document in batch]
        batches.append(config.minhash.signatures([document.text for document in batch]))
    signatures = np.concatenate(batches)
    worded = np.flatnonzero((signatures != NONE).any(1))
    keys = band_keys(signatures[worded], config.bands, config.rows).T
    sorting = np.argsort(keys, axis=1, kind="stable")
    arrays = {
        "offsets": np.array(offsets, dtype=np.int64),
        "ranks": np.array(ranks, dtype=np.float64),
        "signatures": signatures,
        "keys": np.take_along_axis(keys, sorting, axis=1),
        "order": worded[sorting].astype(np.uint32),
    }
    write_arrays(to, arrays)


def count_documents(signed: Sequence[Path]) -> list[int]:
    """Of each shard."""
    return [len(Signed(folder).ranks) for folder in signed]


def band_keys(signatures: Signatures, bands: int, rows: int) -> NDArray[np.uint64]:
    """A hash of each band's numbers: [documents, bands]."""
    parts = signatures[:, : bands * rows].reshape(-1, bands, rows).astype(np.uint64)
    keys = np.zeros(parts.shape[:2], dtype=np.uint64)
    for row in range(rows):
        keys = (keys ^ parts[:, :, row]) * np.uint64(BASE)
        keys ^= keys >> np.uint64(32)
    return keys


def candidates(signed: Sequence[Path], band: int, part: int, parts: int, to: Path) -> None:
    """Write the pairs of documents, of all shards, that share a key of one band in one part of the
    keys."""
    if to.exists():
        return
    begin, end = (np.uint64(min((1 << 64) * p // parts, (1 << 64) - 1)) for p in (part, part + 1))
    keys, numbers, before = [], [], 0
    for folder in signed:
        shard = Signed(folder)
        row = shard.keys[band]
        low = int(np.searchsorted(row, begin))
        high = int(np.searchsorted(row, end)) if part + 1 < parts else len(row)
        keys.append(np.array(row[low:high]))
        numbers.append(shard.order[band, low:high].astype(np.int64) + before)
        before += len(shard.ranks)
    pairs = _with_one_key(np.concatenate(keys), np.concatenate(numbers))
    with atomic_file(to) as file:
        np.save(file, pairs)


def verify(
    shards: Sequence[Path],
    signed: Sequence[Path],
    found: Sequence[Path],
    part: int,
    parts: int,
    to: Path,
    config: Nearness,
) -> None:
    """Write those pairs of all `candidates` whose first document is in one part, that are as
    similar as `config` asks; not those that others join already."""
    if to.exists():
        return
    corpus = _Corpus(shards, signed, config)
    begin, end = (corpus.documents * p // parts for p in (part, part + 1))
    slices = []
    for path in found:
        pairs = np.load(path, mmap_mode="r")
        low, high = np.searchsorted(pairs[:, 0], [begin, end])
        slices.append(np.array(pairs[low:high]))
    pairs = np.unique(np.concatenate(slices), axis=0)
    joined = UnionFind()
    kept: list[tuple[int, int, float]] = []
    for first, second in pairs.tolist():
        if joined.root(first) == joined.root(second) or not corpus.may_be(first, second):
            continue
        similarity = jaccard(corpus.shingles(first), corpus.shingles(second))
        if similarity >= config.threshold:
            joined.join(first, second)
            kept.append((first, second, similarity))
    with atomic_file(to) as file:
        np.save(file, np.array(kept, dtype=np.float64).reshape(-1, 3))


def read_pairs(verified: Sequence[Path]) -> Pairs:
    """What all `verify` wrote."""
    rows = np.concatenate([np.load(path) for path in verified])
    return Pairs(rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), rows[:, 2])


def clusters(pairs: Pairs) -> list[list[int]]:
    """Documents that a chain of pairs joins, each cluster sorted, in order of its first."""
    joined = UnionFind()
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        joined.join(first, second)
    return joined.sets()


def leave(signed: Sequence[Path], verified: Sequence[Path], to: Path) -> None:
    """Write the documents that are to go, each with the one of its cluster that is kept, as
    `repeats` has them."""
    if to.exists():
        return
    begins = np.cumsum([0, *count_documents(signed)])
    ranks = lru_cache(_OPEN)(lambda shard: Signed(signed[shard]).ranks)

    def place(number: int) -> tuple[int, int]:
        shard = int(np.searchsorted(begins, number, side="right")) - 1
        return shard, number - int(begins[shard])

    def rank(number: int) -> tuple[float, int]:
        shard, unit = place(number)
        return float(ranks(shard)[unit]), -number

    gone = []
    for cluster in clusters(read_pairs(verified)):
        kept = max(cluster, key=rank)
        gone += [(*place(number), *place(kept)) for number in cluster if number != kept]
    write_repeats(np.array(gone, dtype=np.int64).reshape(-1, 4), to)


class _Corpus:
    """All shards' documents by their numbers: estimates, and the shingles of those asked for
    last."""

    def __init__(self, shards: Sequence[Path], signed: Sequence[Path], config: Nearness):
        self._shards = shards
        self._signed = lru_cache(_OPEN)(lambda shard: Signed(signed[shard]))
        self._begins = np.cumsum([0, *count_documents(signed)])
        self._width, self._punctuation = config.minhash.width, config.minhash.punctuation
        deviation = np.sqrt(config.threshold * (1 - config.threshold) / config.minhash.permutations)
        self._least = config.threshold - _SLACK * deviation
        self._held: OrderedDict[int, Hashes] = OrderedDict()
        self._holding = 0

    @property
    def documents(self) -> int:
        return int(self._begins[-1])

    def may_be(self, first: int, second: int) -> bool:
        """Whether the signatures leave it open that the two are as similar as asked for."""
        (a, i), (b, j) = self._place(first), self._place(second)
        equal = self._signed(a).signatures[i] == self._signed(b).signatures[j]
        return float(equal.mean()) >= self._least

    def shingles(self, number: int) -> Hashes:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        shard, place = self._place(number)
        begin, end = self._signed(shard).offsets[place : place + 2]
        with open(self._shards[shard], "rb") as file:
            file.seek(begin)
            document = decode_document(file.read(end - begin))
        hashes = shingles(document.text, self._width, punctuation=self._punctuation)
        self._held[number] = hashes
        self._holding += len(hashes)
        while self._holding > _HELD and len(self._held) > 2:  # the two that are compared
            _, gone = self._held.popitem(last=False)
            self._holding -= len(gone)
        return hashes

    def _place(self, number: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._begins, number, side="right")) - 1
        return shard, number - int(self._begins[shard])


def _with_one_key(keys: NDArray[np.uint64], numbers: Numbers) -> Numbers:
    """Pairs of numbers whose keys are equal: [pairs, 2], each once, sorted.

    A document is paired with the first of its key, and with the next few: of a thousand copies all
    are joined, and their pairs are not half a million.
    """
    sorting = np.lexsort((numbers, keys))
    keys, numbers = keys[sorting], numbers[sorting]
    fresh = np.ones(len(keys), dtype=bool)
    fresh[1:] = keys[1:] != keys[:-1]
    begins = np.flatnonzero(fresh)
    sizes = np.diff(np.append(begins, len(keys)))
    firsts = np.repeat(numbers[begins], sizes)
    pairs = [np.stack([firsts, numbers], 1)[firsts != numbers]]
    for distance in range(1, _NEIGHBOURS + 1):
        same = keys[distance:] == keys[:-distance]
        if not same.any():
            break
        pairs.append(np.stack([numbers[:-distance][same], numbers[distance:][same]], 1))
    return np.unique(np.concatenate(pairs), axis=0).reshape(-1, 2)
