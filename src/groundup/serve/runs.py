"""The curves of all runs in a folder, while they grow."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from groundup.core.errors import InputError

_METRICS = "metrics.jsonl"
_DEEPEST = 3  # folders below the one that holds the runs
_MOST = 2000  # records of an answer, thinned out evenly
_READ = 1 << 21  # bytes of an answer
_LARGEST = 1e300


def list_curves(folder: Path) -> list[dict[str, Any]]:
    """Each training's name, such as `quickstart/pretrain`, and how many seconds ago it went on; the
    newest first."""
    found, now = [], time.time()
    for depth in range(1, _DEEPEST + 1):
        for path in folder.glob("*/" * depth + _METRICS):
            name = path.parent.relative_to(folder).as_posix()
            with suppress(OSError):  # it may go while it is looked at
                if _inside(path, folder) and name.isprintable():
                    found.append({"name": name, "age": max(0.0, now - path.stat().st_mtime)})
    return sorted(found, key=lambda curve: (curve["age"], curve["name"]))


def read_curve(folder: Path, name: str, after: int = 0, file: str = "") -> dict[str, Any]:
    """The next records of a curve after a byte of its file, their numbers alone; the first ones
    where the file is another one, as it is after a run was resumed. "more": ask again at once.

    after, file: what the last answer said. Raises `InputError` for a name that is none.
    """
    path = folder / name / _METRICS
    parts = name.split("/")
    if not (1 <= len(parts) <= _DEEPEST and {"", ".", ".."}.isdisjoint(parts)):
        raise InputError(f"{name!r} is no name of a run.")
    if not _inside(path, folder):
        raise InputError(f"there is no run {name!r} here.")
    with path.open("rb") as lines:
        told = os.fstat(lines.fileno())
        fresh = file != str(told.st_ino) or after > told.st_size
        begin = 0 if fresh else after
        lines.seek(begin)
        read = lines.read(_READ)
    end = read.rfind(b"\n") + 1
    if not end and len(read) == _READ:  # a line that is none of ours
        end = _READ
    records = [record for line in read[:end].splitlines() if (record := _record(line))]
    return {
        "records": _thinned(records),
        "fresh": fresh,
        "after": begin + end,
        "more": begin + end < told.st_size and end > 0,
        "file": str(told.st_ino),
    }


def _record(line: bytes) -> dict[str, float]:
    """The numbers of a record; nothing where the line is damaged, of which its run will tell."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(record, dict):
        return {}
    numbers = {key: value for key, value in record.items() if _is_finite(value)}
    return {key: value for key, value in numbers.items() if len(key) <= 64 and key.isprintable()}


def _is_finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= _LARGEST


def _thinned(records: list[dict[str, float]]) -> list[dict[str, float]]:
    """Every so many of the records that tell the same; so those that are rare are all kept."""
    alike: dict[frozenset[str], list[int]] = {}
    for i, record in enumerate(records):
        alike.setdefault(frozenset(record), []).append(i)
    kept: list[int] = []
    for places in alike.values():
        step = -(-len(places) * len(alike) // _MOST)
        kept += places[:: max(1, step)]
    return [records[i] for i in sorted(kept)]


def _inside(path: Path, folder: Path) -> bool:
    """Whether it is in the folder, and no link leads out of it."""
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())
