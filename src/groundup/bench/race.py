"""Steps of several subjects in the processes of a group, in turns, and what each sends."""

import random
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from groundup.bench.sent import bytes_sent, bytes_since
from groundup.core.processes import Group

Name = TypeVar("Name", bound=Hashable)


def race(
    group: Group, steps: Mapping[Name, Callable[[], object]], rounds: int
) -> dict[Name, tuple[list[float], int]]:
    """Of each subject the seconds of its steps in this process, and the bytes that it sends in the
    median one. Each round has an order of its own, the same in all processes, and a barrier before
    each step; two rounds go before the first that is timed."""
    order, draw = list(steps), random.Random(0)
    seconds: dict[Name, list[float]] = {name: [] for name in steps}
    sent: dict[Name, list[int]] = {name: [] for name in steps}
    for _ in range(2 + rounds):
        draw.shuffle(order)
        for name in order:
            group.barrier()
            before, start = bytes_sent(), time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - start)
            group.barrier()  # until what was sent has left
            sent[name].append(bytes_since(before))
    return {name: (seconds[name][2:], statistics.median_low(sent[name])) for name in steps}
