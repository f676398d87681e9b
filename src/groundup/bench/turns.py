"""Timing in turns, and the rate of the memory: what benchmarks of short operations share."""

import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from groundup.bench.result import row
from groundup.core.device import Device
from groundup.train.probe import wait

_MEMORY = "memory, in place"


def in_turns(
    subjects: dict[str, Callable[[], object]], rounds: int, device: Device
) -> dict[str, list[float]]:
    """Seconds of each subject in each round, the first two left out. Each round has an order of its
    own, since what ran before has filled the caches."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    order, draw = list(subjects), random.Random(0)
    for _ in range(rounds + 2):
        draw.shuffle(order)
        for name in order:
            start = time.perf_counter()
            subjects[name]()
            wait(device)
            times[name].append(time.perf_counter() - start)
    return {name: taken[2:] for name, taken in times.items()}


def beside_memory(
    subjects: dict[str, Callable[[], object]], moved: float, rounds: int, device: Device
) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds of each subject in each round, and the memory's for `moved` bytes, read and written,
    at the rate of an operation in place on an array that no cache holds. (A copy is slower: what it
    overwrites is first fetched.)

    The memory takes its turn with the others, since its rate on a shared machine doubles and halves
    within minutes.
    """
    array = torch.ones(1 << 26, device=device.device)
    times = in_turns({**subjects, _MEMORY: array.neg_}, rounds, device)
    share = moved / (2 * array.numel() * array.element_size())
    return times, [share * seconds for seconds in times.pop(_MEMORY)]


def rows_beside_memory(
    case: str, metric: str, times: dict[str, list[float]], memory: list[float]
) -> list[dict[str, Any]]:
    """Each subject's milliseconds, and how often the memory's time of the same round."""
    rows = []
    for subject, taken in times.items():
        milliseconds = [1e3 * seconds for seconds in taken]
        over = [seconds / bound for seconds, bound in zip(taken, memory, strict=True)]
        rows.append(row(case, subject, metric, "ms", milliseconds, higher=False))
        rows.append(row(case, subject, "of the memory's time", "", over, higher=False))
    return rows


def memory_limit(rates: list[float]) -> dict[str, Any]:
    """The limit that a result names: the median of rates in bytes a second."""
    return {"name": _MEMORY, "value": median(rates) / 1e9, "unit": "GB/s"}
