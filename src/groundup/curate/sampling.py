"""Random samples of files that are too large to hold, the same again for the same seed.

Each item has a key, and the items are kept whose keys hash lowest: bottom-k sampling (Cohen and
Kaplan 2007, "Summarizing data using bottom-k sketches"). It takes one pass, holds no more than the
sample, and does not depend on the order, nor on what else is there: of two corpora that share a
document, both samples are likely to have it or to lack it.
"""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from groundup.core.errors import ArtifactError

Item = TypeVar("Item")


class Reservoir(Generic[Item]):
    """A sample of `size` keys, with an item each."""

    def __init__(self, size: int, seed: int):
        self._size = size
        self._seed = seed
        self._items: dict[str, Item] = {}
        self._hashes: list[tuple[int, str]] = []  # a heap of the negated: the highest is on top

    def add(self, key: str, item: Item) -> Item | None:
        """The key's item in the sample: the one that it has, or this one; None where the key is not
        in the sample. A key that is in it at the end has been since it was first added."""
        if key in self._items:
            return self._items[key]
        entry = (-hashed(key, self._seed), key)
        if len(self._hashes) < self._size:
            heapq.heappush(self._hashes, entry)
        elif entry > self._hashes[0]:
            del self._items[heapq.heapreplace(self._hashes, entry)[1]]
        else:
            return None
        self._items[key] = item
        return item

    def items(self) -> dict[str, Item]:
        """The sample, in the order of the hashes, which is random, too."""
        return {key: self._items[key] for _, key in sorted(self._hashes, reverse=True)}


def hashed(key: str, seed: int) -> int:
    """64 bits."""
    data = f"{seed}\x1f{key}".encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def read_some(
    paths: Iterable[Path], most: int, seed: int, decode: Callable[[bytes], Item]
) -> Iterator[Item]:
    """What the lines of files hold: of all files, or, where these have more than so many bytes, of
    some drawn by lot. A file that is gone when its turn comes is passed over.

    decode: raises `ValueError` for a damaged line, of which an `ArtifactError` is made.
    """
    for path in sorted(paths, key=lambda path: hashed(path.name, seed)):
        try:
            file = open(path, "rb")  # noqa: SIM115
        except FileNotFoundError:  # a run that goes on moves its files
            continue
        with file:
            for number, line in enumerate(file, start=1):
                if most <= 0:
                    return
                most -= len(line)
                try:
                    yield decode(line)
                except ValueError as error:
                    raise ArtifactError(
                        f"{path}, line {number} is damaged ({error}): run the curation again."
                    ) from error


def bytes_of(paths: Sequence[Path]) -> int:
    """Of files that are there."""
    return sum(path.stat().st_size for path in paths if path.exists())
