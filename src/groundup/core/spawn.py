"""Processes of a group on this machine, for benchmarks and tests: `torchrun` launches trainings."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from datetime import timedelta
from multiprocessing import get_context
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]

from groundup.core.errors import LostProcessError
from groundup.core.processes import joined

Result = TypeVar("Result")

_HOST = "127.0.0.1"


class Workers:
    """`count` processes that wait for work, each with its share of the processors. A context."""

    def __init__(self, count: int):
        self.count = count
        self._pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))

    def run(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        size: int | None = None,
        patience: timedelta = timedelta(minutes=2),
    ) -> list[Result]:
        """What `function(group, *arguments)` returns in each process of a group, by rank.

        function: a module's own, as it is sent by name. size: of the group, at most and by default
        `count`. An error of a process is raised here, once all have ended; one that lost another
        process comes after that one's own.
        """
        size = size or self.count
        store = TCPStore(_HOST, 0, is_master=True, wait_for_workers=False)
        tasks = [
            self._pool.submit(
                _run, rank, size, self.count, store.port, patience, function, arguments
            )
            for rank in range(size)
        ]
        wait(tasks)
        errors = [error for task in tasks if (error := task.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, LostProcessError)):
            raise error
        return [task.result() for task in tasks]

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown()


def _run(
    rank: int,
    size: int,
    count: int,
    port: int,
    patience: timedelta,
    function: Callable[..., Result],
    arguments: tuple[Any, ...],
) -> Result:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": _HOST,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is the parent's
    }
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    with joined(torch.device("cpu"), patience) as group:
        return function(group, *arguments)
