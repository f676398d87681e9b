"""Timing in turns, beside a limit that takes its turn with the rest: what benchmarks of short
operations share."""

import random
import time
from collections.abc import Callable
from typing import Any

import torch

from groundup.bench.limits import ONE, Limit, Unit
from groundup.bench.result import row
from groundup.core.device import Device
from groundup.train.probe import wait

# Bytes that are written before each timing on a GPU, and how often: many times its L2 cache, so
# that no input is left there; and for a millisecond or more, in which the processor launches what
# is timed. (In a quarter of one it did not come to the end of a norm's two passes.)
_FLUSHED, _TIMES = 1 << 30, 6


def in_turns(
    subjects: dict[str, Callable[[], object]], rounds: int, device: Device
) -> dict[str, list[float]]:
    """Seconds of each subject in each round, the first two left out. Each round has an order of its
    own, since what ran before has filled the caches. A GPU's are emptied before each."""
    seconds = _gpu_seconds(device) if device.device.type == "cuda" else _seconds
    times: dict[str, list[float]] = {name: [] for name in subjects}
    order, draw = list(subjects), random.Random(0)
    for _ in range(rounds + 2):
        draw.shuffle(order)
        for name in order:
            times[name].append(seconds(subjects[name]))
    return {name: taken[2:] for name, taken in times.items()}


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _gpu_seconds(device: Device) -> Callable[[Callable[[], object]], float]:
    """What takes the time of a call, by the GPU's own clock."""
    flushed = torch.empty(_FLUSHED, dtype=torch.uint8, device=device.device)

    def seconds(run: Callable[[], object]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        for _ in range(_TIMES):
            flushed.zero_()
        start.record()
        run()
        end.record()
        wait(device)
        return start.elapsed_time(end) / 1e3

    return seconds


def beside(
    limit: Limit,
    subjects: dict[str, Callable[[], object]],
    work: float,
    rounds: int,
    device: Device,
) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds of each subject in each round, and those of `work` at the limit's rate.

    The limit takes its turn with the others, since the rate of a shared machine's memory doubles
    and halves within minutes, and a GPU's clocks fall as it gets hot.
    """
    times = in_turns({**subjects, limit.name: limit.run}, rounds, device)
    return times, [work / limit.work * seconds for seconds in times.pop(limit.name)]


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


def rate_rows(
    case: str, times: dict[str, list[float]], work: float, unit: Unit, **place: object
) -> list[dict[str, Any]]:
    """The rate at which each subject did `work`, bytes or FLOPs, in a number of seconds.

    place: where `bench.curves` draws it: in the panel of which `operation`, at which `size`, and
    what the `axis` of sizes means.
    """
    rows = []
    for subject, taken in times.items():
        rates = [work / seconds / ONE[unit] for seconds in taken]
        rows.append({**row(case, subject, "rate", unit, rates, higher=True), **place})
    return rows
