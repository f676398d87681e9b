"""The share of exchanges in which a process computes."""

import time

import torch

from groundup.bench.overlap import _both, _length, _union, overlap
from groundup.core.processes import Group
from groundup.core.spawn import Workers


def test_unions_and_what_they_share() -> None:
    exchanges = _union([(5, 6), (0, 2), (1, 4)])
    assert exchanges == [(0, 4), (5, 6)]
    computations = _union([(3, 5.5), (1, 2), (10, 11)])
    assert _both(exchanges, computations) == [(1, 2), (3, 4), (5, 5.5)]
    assert _length(_both(exchanges, computations)) / _length(exchanges) == 2.5 / 5


def shares(group: Group) -> tuple[float | None, float | None, float | None]:
    """Of a sum that is waited for at once, of one behind which products go on, and of none."""
    numbers, matrix = torch.ones(20_000_000), torch.ones(600, 600)

    def idle() -> None:
        wait = group.sum(numbers)
        time.sleep(0.05)
        wait()

    def busy() -> None:
        wait = group.sum(numbers)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            torch.mm(matrix, matrix)
        wait()

    idle()
    return overlap(idle), overlap(busy), overlap(lambda: torch.mm(matrix, matrix))


def test_it_tells_computing_from_waiting() -> None:
    with Workers(2) as workers:
        for idle, busy, none in workers.run(shares):
            assert none is None
            assert idle is not None
            assert busy is not None
            assert idle < 0.1
            assert busy > idle + 0.2
