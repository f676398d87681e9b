"""Checkpoints are written in the background: a training waits for the copy of its state in memory,
and not for the disk (Mohan et al. 2021, "CheckFreq": snapshot, then persist).
"""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from groundup.checkpoint.checkpoint import begin_checkpoint, save_checkpoint, take_snapshot
from groundup.checkpoint.retention import Retention
from groundup.models.families import Model
from groundup.optim import Optimizer
from groundup.parallel.exchange import Exchange
from groundup.parallel.parallelism import ALONE


class CheckpointWriter:
    """Writes checkpoints to `folder` on a thread of its own, one at a time. All processes of an
    exchange call `begin` at the same steps.

    What goes wrong there is raised by the next call of any method but `close`.
    """

    def __init__(self, folder: Path, retention: Retention, exchange: Exchange = ALONE):
        self._folder = folder
        self._retention = retention
        self._exchange = exchange
        self._given_up = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def begin(
        self, model: Model, optimizer: Optimizer, step: int, state: Mapping[str, Any]
    ) -> None:
        """Copy the state, and write it while the caller goes on; there is one copy at a time."""
        self.wait()
        begin_checkpoint(self._folder, step, self._exchange.group)
        snapshot = take_snapshot(model, optimizer, step, state, self._exchange)
        self._writing = self._thread.submit(
            save_checkpoint, self._folder, snapshot, self._retention, self._given_up
        )

    def check(self) -> None:
        """Raise the error of a write that has failed; does not wait."""
        if self._writing and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Until what was begun is on the disk."""
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def close(self) -> None:
        """Wait for the write that goes on, whatever becomes of it; not for other processes."""
        self._given_up.set()
        self._thread.shutdown()
