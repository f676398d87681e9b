"""The curves of all runs in a folder, while they grow."""

import json
from pathlib import Path
from typing import Any

from groundup.core.errors import InputError

_METRICS = "metrics.jsonl"
_DEEPEST = 3  # folders below the one that holds the runs
_MOST = 4000  # records of a curve at once, thinned out evenly
_READ = 1 << 26  # bytes at once


def list_curves(folder: Path) -> list[dict[str, Any]]:
    """Each training's name, such as `quickstart/pretrain`, and when it went on last (seconds since
    1970); the newest first."""
    found = []
    for depth in range(1, _DEEPEST + 1):
        for path in folder.glob("*/" * depth + _METRICS):
            if _inside(path, folder):
                name = path.parent.relative_to(folder).as_posix()
                found.append({"name": name, "modified": path.stat().st_mtime})
    return sorted(found, key=lambda curve: (-curve["modified"], curve["name"]))


def read_curve(folder: Path, name: str, after: int = 0, file: int = 0) -> dict[str, Any]:
    """The records of a curve after a byte of its file; all of them where the file is another one,
    as it is after a run was resumed.

    after, file: what the last answer said. Raises `InputError` for a name that is none.
    """
    path = folder / name / _METRICS
    if name not in {curve["name"] for curve in list_curves(folder)}:
        raise InputError(f"there is no run {name!r} here.")
    with path.open("rb") as lines:
        told = path.stat()
        fresh = file != told.st_ino or after > told.st_size
        lines.seek(0 if fresh else after)
        read = lines.read(_READ)
    whole = read[: read.rfind(b"\n") + 1]
    records = [record for line in whole.splitlines() if (record := _record(line)) is not None]
    return {
        "records": _thinned(records) if fresh else records,
        "fresh": fresh,
        "after": (0 if fresh else after) + len(whole),
        "file": told.st_ino,
    }


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:  # damaged: its run will say so
        return None
    return record if isinstance(record, dict) else None


def _thinned(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every so many of the records alone; those that tell something else are all kept."""
    step = -(-len(records) // _MOST)
    if step <= 1:
        return records
    return [
        record
        for i, record in enumerate(records)
        if i % step == 0 or i == len(records) - 1 or record.keys() != records[i - 1].keys()
    ]


def _inside(path: Path, folder: Path) -> bool:
    """Whether it is in the folder, and no link leads out of it."""
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())
