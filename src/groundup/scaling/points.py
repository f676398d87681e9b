"""What trainings of different sizes have cost and reached: the points that laws are fitted to."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.scaling.huber import Array

FLOPS_PER_WEIGHT = 6  # of training, for each weight and token: 2 forwards, 4 backwards
COLUMNS = ("parameters", "tokens", "flops", "loss")


@dataclass(frozen=True)
class Points:
    """Arrays of one length, a place a training. parameters: N, weights that multiply every token.
    tokens: D, seen in training. flops: C. loss: of held-out text.

    flagged: what is known of other trainings, with the reason why no law is fitted to them.
    """

    parameters: Array
    tokens: Array
    flops: Array
    loss: Array
    flagged: tuple[tuple[Mapping[str, Any], str], ...] = ()

    def __len__(self) -> int:
        return len(self.loss)

    def where(self, chosen: NDArray[Any]) -> "Points":
        """Those at which `chosen`, booleans or numbers of places, is true or point to."""
        columns = (getattr(self, name)[chosen] for name in COLUMNS)
        return Points(*columns, flagged=self.flagged)


def points_of(rows: Iterable[Mapping[str, Any]]) -> Points:
    """Points from rows with a loss and two of parameters, tokens and flops, or all three; what is
    missing follows from C = 6·N·D.

    A row whose loss is no positive number (the training diverged), or whose numbers are none, is
    flagged, and so is one that says so itself (`flagged`: the reason).
    """
    good: list[list[float]] = []
    flagged: list[tuple[Mapping[str, Any], str]] = []
    for row in rows:
        numbers = [_number(row.get(name)) for name in COLUMNS]
        reason = row.get("flagged") or _fault(numbers)
        if reason:
            flagged.append((row, str(reason)))
        else:
            good.append(_completed(numbers))
    columns = np.array(good, dtype=np.float64).reshape(-1, len(COLUMNS)).T
    return Points(*columns, flagged=tuple(flagged))


def read_points(path: Path, names: Mapping[str, str] | None = None) -> Points:
    """From a file of JSON lines (`.jsonl`), or a `.csv` with a line of names. names: of the file's
    columns, where they are not those of `COLUMNS`.

    Raises `InputError` where there is no such file, or no such columns in it.
    """
    names = {name: (names or {}).get(name, name) for name in COLUMNS}
    rows = list(_rows(path))
    there = {name for name in COLUMNS if any(names[name] in row for row in rows)}
    if "loss" not in there or len(there) < 3:
        columns = ", ".join(dict.fromkeys(name for row in rows for name in row)) or "none"
        raise InputError(
            f"{path} has no column of losses, or not two of {', '.join(COLUMNS[:3])} (its columns: "
            f"{columns}): say which are which by --column loss=NAME."
        )
    return points_of({name: row.get(names[name]) for name in COLUMNS} for row in rows)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            if path.suffix.lower() == ".jsonl":
                yield from (json.loads(line) for line in file if line.strip())
            else:
                yield from csv.DictReader(file)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no file of points that can be read ({error}).") from error


def _number(value: Any) -> float | None:
    """None where there is no value; not a number where it is none."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _fault(numbers: Sequence[float | None]) -> str:
    loss, others = numbers[-1], numbers[:-1]
    if loss is None or not math.isfinite(loss):
        return "has no finite loss: it diverged, or did not end"
    if loss <= 0:
        return "has a loss that is not above 0"
    if sum(number is not None for number in others) < 2:
        return "has not two of parameters, tokens and flops"
    if any(number is not None and not 0 < number < math.inf for number in others):
        return "has parameters, tokens or flops that are not above 0"
    return ""


def _completed(numbers: Sequence[float | None]) -> list[float]:
    parameters, tokens, flops, loss = numbers
    if parameters is None:
        assert flops is not None
        assert tokens is not None
        parameters = flops / (FLOPS_PER_WEIGHT * tokens)
    if tokens is None:
        assert flops is not None
        tokens = flops / (FLOPS_PER_WEIGHT * parameters)
    if flops is None:
        flops = FLOPS_PER_WEIGHT * parameters * tokens
    assert loss is not None
    return [parameters, tokens, flops, loss]
