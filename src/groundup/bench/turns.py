"""Timing in turns, and the rate of the memory: what benchmarks of short operations share."""

import time
from collections.abc import Callable

import torch

from groundup.core.device import Device
from groundup.train.probe import wait


def in_turns(
    subjects: dict[str, Callable[[], object]], rounds: int, device: Device
) -> dict[str, list[float]]:
    """Seconds of each subject in each round, the first two left out; every second round backwards,
    since what ran before has filled the caches."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    order = list(subjects)
    for _ in range(rounds + 2):
        order.reverse()
        for name in order:
            start = time.perf_counter()
            subjects[name]()
            wait(device)
            times[name].append(time.perf_counter() - start)
    return {name: taken[2:] for name, taken in times.items()}


def bandwidth_in_place(device: Device) -> float:
    """Bytes read and written a second by an operation in place, the best of several times. (A copy
    is slower: what it overwrites is first fetched.)"""
    array = torch.ones(1 << 26, device=device.device)
    times = in_turns({"": array.neg_}, 8, device)[""]
    return 2 * array.numel() * array.element_size() / min(times)
