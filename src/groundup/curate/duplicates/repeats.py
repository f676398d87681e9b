"""What occurs more than once in a corpus of any size: documents, or parts of them, by their keys.

    write_keys      each shard: the keys of its units, sorted
    find_repeats    each part of all keys: the units whose key too many units have

A unit is whatever has a key, and is called by its shard and its number there. Keys of 128 bits of a
good hash are as good as what they stand for. Each line is tasks that read files and write one; as
keys are sorted within each shard, a part of them is a slice of each file, and no task holds more
than a part.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundup.core.files import PARTIAL, atomic_file, sync

Numbers = NDArray[np.int64]
Keys = NDArray[np.uint64]  # [units, 2]: the upper and the lower half

_HELD = 1 << 24  # keys of a part: some 600 MB with what sorts them


class Repeats(NamedTuple):
    """Units of one shard, in order, and where the first one of the same key stands."""

    units: Numbers
    first_shards: Numbers
    first_units: Numbers


def write_keys(keys: Keys, to: Path, units: Numbers | None = None, **more: NDArray[Any]) -> None:
    """Write the folder `to` with the keys of a shard's units in order, and other arrays.

    units: their numbers, where not every unit has a key.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: units of one key stay in order
    numbers = order if units is None else units[order]
    write_arrays(to, {"keys": keys[order], "order": numbers.astype(np.int64), **more})


def write_arrays(to: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the folder `to` of a file an array; it is there when all of them are."""
    unfinished = to.with_name(to.name + PARTIAL)
    unfinished.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        with atomic_file(unfinished / f"{name}.npy") as file:
            np.save(file, array)
    unfinished.rename(to)
    sync(to.parent)


def parts_of(folders: Sequence[Path]) -> int:
    """How many parts the keys are to be divided into."""
    return sum(len(_load(folder, "keys")) for folder in folders) // _HELD + 1


def find_repeats(
    folders: Sequence[Path],
    part: int,
    parts: int,
    to: Path,
    most: int = 1,
    keep_first: bool = True,
) -> None:
    """Write the units, of all shards, whose key in one part of the keys more than `most` units
    have. keep_first: but not the first of each key."""
    if to.exists():
        return
    begin, end = (min((1 << 64) * p // parts, (1 << 64) - 1) for p in (part, part + 1))
    keys, places = [], []
    for shard, folder in enumerate(folders):
        sorted_keys = _load(folder, "keys")
        low, high = np.searchsorted(sorted_keys[:, 0], np.array([begin, end], dtype=np.uint64))
        high = high if part + 1 < parts else len(sorted_keys)
        keys.append(np.array(sorted_keys[low:high]))
        units = np.array(_load(folder, "order")[low:high])
        places.append(np.stack([np.full(len(units), shard), units], 1))
    all_keys, all_places = np.concatenate(keys), np.concatenate(places)
    sorting = np.lexsort((all_places[:, 1], all_places[:, 0], all_keys[:, 1], all_keys[:, 0]))
    all_keys, all_places = all_keys[sorting], all_places[sorting]
    fresh = np.ones(len(all_keys), dtype=bool)
    fresh[1:] = (all_keys[1:] != all_keys[:-1]).any(1)
    begins = np.flatnonzero(fresh)
    of_key = np.cumsum(fresh) - 1
    too_many = (np.diff(begins, append=len(fresh)) > most)[of_key]
    chosen = too_many & ~fresh if keep_first else too_many
    firsts = all_places[begins[of_key[chosen]]]
    write_repeats(np.concatenate([all_places[chosen], firsts], 1), to)


def write_repeats(rows: Numbers, to: Path) -> None:
    """rows: [n, 4], the shard and number of a unit, and those of the first of the same key."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    with atomic_file(to) as file:
        np.save(file, rows)


def repeats_of(found: Sequence[Path], shard: int) -> Repeats:
    """What all `find_repeats`, or others that `write_repeats`, found in one shard."""
    slices = []
    for path in found:
        rows = np.load(path, mmap_mode="r")
        low, high = np.searchsorted(rows[:, 0], [shard, shard + 1])
        slices.append(np.array(rows[low:high]))
    rows = np.concatenate(slices)
    rows = rows[np.argsort(rows[:, 1], kind="stable")]
    return Repeats(rows[:, 1], rows[:, 2], rows[:, 3])


def _load(folder: Path, name: str) -> NDArray[Any]:
    return np.load(folder / f"{name}.npy", mmap_mode="r")
