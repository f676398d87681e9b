"""Reading ahead: in order, errors where they belong, and no thread left behind."""

import threading
from collections.abc import Iterator

import pytest

from groundup.data.prefetch import prefetched


def readers() -> int:
    return sum(thread.name.startswith("prefetch") for thread in threading.enumerate())


@pytest.mark.parametrize("ahead", [1, 2, 50])
def test_the_order_is_kept(ahead: int) -> None:
    with prefetched(range(20), ahead) as items:
        assert list(items) == list(range(20))
    assert not readers()


def test_so_many_are_made_ahead_by_another_thread_and_no_more() -> None:
    made: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        assert threading.current_thread() is not threading.main_thread()
        for number in range(100):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    with prefetched(items(), ahead=2) as ahead:
        assert next(ahead) == 0
        assert third.wait(10)  # 1 and 2 are made while 0 is used …
    assert made == [0, 1, 2]  # … and leaving ends the thread


def test_an_error_comes_where_it_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the disk is gone")

    with prefetched(items(), ahead=3) as ahead:
        assert [next(ahead), next(ahead)] == [1, 2]
        with pytest.raises(OSError, match="the disk is gone"):
            next(ahead)
    assert not readers()


def test_an_error_of_the_user_of_the_batches_ends_the_thread() -> None:
    with pytest.raises(KeyboardInterrupt), prefetched(range(100)) as ahead:  # noqa: PT012
        next(ahead)
        raise KeyboardInterrupt
    assert not readers()
