import contextlib
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from groundup.curate.time_limit import TimeLimitError, within


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def idle(seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "done"


def test_what_is_quick_returns_its_result() -> None:
    assert within(5, idle, 0.01) == "done"
    assert within(5, idle, seconds=0) == "done"


def test_what_is_slow_is_stopped() -> None:
    began = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"^took more than 0.05 seconds$"):
        within(0.05, idle, 20)
    assert time.monotonic() - began < 5


def test_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_a_handler_of_all_exceptions_does_not_keep_it_from_stopping() -> None:
    def stubborn() -> None:
        while True:
            try:
                idle(1)
            except Exception:
                continue

    with pytest.raises(TimeLimitError):
        within(0.05, stubborn)


def test_the_inner_limit_holds_where_it_is_nearer_and_the_outer_goes_on() -> None:
    def outer() -> str:
        with pytest.raises(TimeLimitError, match="0.02"):
            within(0.02, idle, 20)
        return idle(20)

    with pytest.raises(TimeLimitError, match="0.2 seconds"):
        within(0.2, outer)


def test_the_outer_limit_holds_where_it_is_nearer() -> None:
    def outer() -> None:
        try:
            within(10, idle, 20)
        except TimeLimitError:
            pytest.fail("the inner limit took the outer one for its own")

    with pytest.raises(TimeLimitError, match="0.05"):
        within(0.05, outer)


def test_an_alarm_that_was_set_before_still_rings() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert within(10, idle, 0.01) == "done"
        with pytest.raises(TimeLimitError):
            within(0.02, idle, 20)
        assert not rung
        idle(0.2)
        assert rung == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_another_thread_is_not_limited() -> None:
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(within(0.01, idle, 0.05)))
    thread.start()
    thread.join()
    assert results == ["done"]


def test_it_is_over_when_it_is_over() -> None:
    """Ends of calls and alarms at the same moment: either the result or the limit, and no alarm
    afterwards."""
    for _ in range(300):
        with contextlib.suppress(TimeLimitError):
            assert within(0.001, idle, 0.001) == "done"
    idle(0.01)
