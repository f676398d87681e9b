"""Tasks on the machines of a Ray cluster."""

import logging
import signal
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from groundup.core.errors import InputError, LostProcessError, MissingExtraError
from groundup.core.progress import Advance
from groundup.curate.step import Task

_BEGUN = 2  # tasks for each processor that are handed out: none waits for its next one
_PATIENCE = 10.0  # seconds for a cluster to answer


class Ray:
    """An engine of the processors of a Ray cluster, each with one task at a time. A context, which
    joins the cluster and leaves it.

    address: of the cluster (`auto`: the one that this machine is of); None makes one of this
    machine alone. All machines must see the folders of the run and of the source by the same paths,
    and have groundup installed.

    Raises `MissingExtraError` without Ray, `InputError` where there is no such cluster.
    """

    def __init__(self, address: str | None = None):
        try:
            import ray
            import ray.exceptions
        except ImportError as error:
            raise MissingExtraError("--engine ray", "ray") from error
        self._ray = ray
        self._address = address
        self._sigterm = signal.getsignal(signal.SIGTERM)

    def run(self, tasks: Sequence[Task], advance: Advance) -> None:
        """See `Engine`."""
        ray, exceptions = self._ray, self._ray.exceptions
        call = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(_call)
        limit = _BEGUN * max(1, int(ray.cluster_resources().get("CPU", 1)))
        begun: list[Any] = []
        waiting = iter(tasks)
        try:
            while True:
                while len(begun) < limit and (task := next(waiting, None)):
                    begun.append(call.remote(task))
                if not begun:
                    return
                done, begun = ray.wait(begun)
                for reference in done:
                    ray.get(reference)
                    advance()
        except exceptions.RayTaskError as error:
            raise error.cause from None
        except exceptions.RayError as error:
            raise LostProcessError(
                f"the cluster lost a task ({str(error).strip().splitlines()[0]}): run the same "
                "command again; what is finished is kept."
            ) from error
        finally:
            for reference in begun:
                ray.cancel(reference)
            ray.wait(begun, num_returns=len(begun)) if begun else None

    def __enter__(self) -> "Ray":
        try:
            host, colon, port = (self._address or "").rpartition(":")
            if colon and port.isdecimal() and "://" not in host:
                # Ray itself would try for five minutes.
                socket.create_connection((host, int(port)), _PATIENCE).close()
            address = self._address or "local"
            self._ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"no Ray cluster can be reached at {self._address} ({error}): start one with "
                "'ray start --head', or leave --ray-address out."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ray.shutdown()
        if threading.current_thread() is threading.main_thread():  # else neither could set one
            signal.signal(signal.SIGTERM, self._sigterm)  # Ray leaves its own behind


def _call(task: Task) -> None:
    task.function(*task.arguments)
