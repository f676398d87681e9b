"""Meters by hand: what is charged to whom."""

import time

import torch

from groundup.core.device import select_device
from groundup.train.meters import REST, Stopwatch, Traffic, median_of, phase_of


def test_a_stopwatch_charges_every_moment_once() -> None:
    stopwatch = Stopwatch[str](select_device("cpu"))
    begun = time.perf_counter()
    with phase_of(stopwatch, "forward"):
        time.sleep(0.002)
    with phase_of(stopwatch, "backward"):
        pass
    with phase_of(stopwatch, "forward"):
        time.sleep(0.002)
    spent = stopwatch.take()
    whole = time.perf_counter() - begun
    assert set(spent) == {"forward", "backward", REST}
    assert 0.004 <= spent["forward"] <= sum(spent.values()) <= whole
    assert stopwatch.take() == {}


def test_the_median_is_one_of_the_measurements() -> None:
    times = [{"a": 1.0, "b": 5.0}, {"a": 9.0, "b": 1.0}, {"a": 2.0, "b": 0.0}]
    assert median_of(times) == {"a": 1.0, "b": 5.0}
    assert median_of(times[:2]) == {"a": 1.0, "b": 5.0}


def test_traffic_is_what_operators_read_and_write() -> None:
    a, b = torch.ones(2, 3), torch.ones(3, 5, dtype=torch.float64)
    with Traffic[str]() as traffic:
        c = a @ b.float()  # before anybody is at work
        traffic.enter("cast")
        narrow = b.float()
        traffic.enter("product")
        a @ narrow
        traffic.enter("views")
        c.t().reshape(5, 2, 1).transpose(0, 1)
        traffic.enter("in place")
        c.add_(1)
        traffic.enter("repeated")
        torch.ones(1, 5).expand(2, 5) + c
    assert traffic.moved == {
        "cast": 15 * 8 + 15 * 4,
        "product": 4 * (2 * 3 + 3 * 5 + 2 * 5),
        "in place": 4 * (10 + 10),
        "repeated": 4 * (5 + 10 + 10) + 4 * 5,  # and the ones are written
    }
