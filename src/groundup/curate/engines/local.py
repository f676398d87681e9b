"""Tasks in processes of this machine."""

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType

from groundup.core.errors import LostProcessError
from groundup.core.progress import Advance
from groundup.curate.step import Task

_BEGUN = 2  # tasks for each process that are handed out: none waits for its next one

_BLAS = "OPENBLAS_NUM_THREADS"  # of numpy, in processes that start


class Local:
    """An engine of `workers` processes; of one, tasks run in this process itself. A context, at
    whose end the processes are gone."""

    def __init__(self, workers: int | None = None):
        self.workers = workers or len(os.sched_getaffinity(0))
        self._before = os.environ.get(_BLAS)
        self._pool: ProcessPoolExecutor | None = None

    def run(self, tasks: Sequence[Task], advance: Advance) -> None:
        """See `Engine`."""
        if self.workers == 1:
            for task in tasks:
                task.function(*task.arguments)
                advance()
            return
        # Not forked: a copy of a process with threads may wait for ever for a lock of one of them.
        self._pool = self._pool or ProcessPoolExecutor(
            self.workers, mp_context=get_context("spawn")
        )
        begun: set[Future[None]] = set()
        waiting = iter(tasks)
        try:
            while True:
                while len(begun) < _BEGUN * self.workers and (task := next(waiting, None)):
                    begun.add(self._pool.submit(task.function, *task.arguments))
                if not begun:
                    return
                done, begun = wait(begun, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    advance()
        except BrokenProcessPool as error:
            self._pool = None
            raise LostProcessError(
                "one of the processes was killed (the kernel does so where memory is short): run "
                "the same command again, with fewer --workers; what is finished is kept."
            ) from error
        finally:
            for future in begun:
                future.cancel()
            wait(begun)

    def __enter__(self) -> "Local":
        os.environ[_BLAS] = "1"  # the processes are the threads
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        if self._before is None:
            os.environ.pop(_BLAS, None)
        else:
            os.environ[_BLAS] = self._before
