"""`metrics.jsonl`: one JSON object a line, appended as a run goes, the raw material of every plot.

A killed process can lose its last line; a resumed one drops what lies beyond its checkpoint, so
that the file reads as if the run had never stopped.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundup.core.errors import ArtifactError
from groundup.core.files import naming, write_text


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines of the file, oldest first; an unfinished last line is left out.

    Raises `ArtifactError` for a whole line that is no JSON object.
    """
    if not path.exists():
        return []
    records = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            record = None
        if not isinstance(record, dict):
            raise ArtifactError(
                f"{path}, line {number} is damaged: delete the stage's folder and run it again."
            )
        records.append(record)
    return records


class MetricsWriter:
    """Appends records to `path`. NaN and infinity are stored as null (JSON has neither)."""

    def __init__(self, path: Path, keep: Callable[[dict[str, Any]], bool] | None = None):
        """`keep` decides which of the records that are there stay (resume); None: all."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [record for record in read_metrics(path) if keep is None or keep(record)]
        write_text(path, "".join(_line(record) for record in kept))
        self._file = path.open("a", encoding="utf-8", newline="\n")

    def write(self, **record: Any) -> None:
        """Append one record; it is in the file when this returns."""
        with naming(self.path):
            self._file.write(_line(record))
            self._file.flush()

    def close(self) -> None:
        with naming(self.path):
            self._file.close()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _line(record: dict[str, Any]) -> str:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }
    return json.dumps(finite, ensure_ascii=False, allow_nan=False) + "\n"
