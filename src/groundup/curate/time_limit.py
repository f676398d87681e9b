"""A limit on the time that one document may take."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Result = TypeVar("Result")

_AGAIN = 1.0  # seconds: an exception that is raised in a destructor is lost, the next one is not


class TimeLimitError(Exception):
    """The limit was exceeded; the message continues a sentence about the document."""


class _Alarm(BaseException):
    """Ends the call, wherever it is; no handler of ordinary exceptions takes it for its own."""


def within(
    seconds: float, function: Callable[P, Result], /, *arguments: P.args, **options: P.kwargs
) -> Result:
    """What `function` returns; `TimeLimitError` where it takes longer than `seconds`.

    The system's alarm (`SIGALRM`) interrupts the call. It comes between two steps of the Python
    interpreter: one call into compiled code that does not return (a pathological page within its
    parser) cannot be stopped by it. Alarms reach the main thread of a process only; in another
    thread, and on a system without them, nothing limits the call.

    Calls may be nested, and others may use the alarm: the nearer limit holds, and what was set
    before is set again, less the time that has passed.
    """
    if not _has_alarms():
        return function(*arguments, **options)
    alarm = _Alarm()

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise alarm

    began = time.monotonic()
    before, interval = signal.getitimer(signal.ITIMER_REAL)
    if 0 < before <= seconds:
        return function(*arguments, **options)
    handler = signal.signal(signal.SIGALRM, ring)

    def restore() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before:
            left = before - (time.monotonic() - began)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6), interval)

    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
            return function(*arguments, **options)
        finally:
            restore()
    except _Alarm as rung:
        if rung is not alarm:
            raise
        restore()  # it may have rung before the first call had restored anything
        raise TimeLimitError(f"took more than {seconds:g} seconds") from None


def _has_alarms() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
