"""SIGTERM, which schedulers send some time before they kill: noticed at once, obeyed where nothing
is lost by it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """Work was ended by SIGTERM, after it was saved. No error, so no handler of errors stops it."""


@contextmanager
def noticing_sigterm() -> Iterator[Callable[[], bool]]:
    """A context in which SIGTERM does not end the process; the value says whether it has come.

    Outside of the main thread, where Python takes no signals, it never has.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came = threading.Event()

    def notice(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        came.set()

    before = signal.signal(signal.SIGTERM, notice)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
