"""Checkpoints are written in the background: a training waits for the copy of its state in memory,
and not for the disk (Mohan et al. 2021, "CheckFreq": snapshot, then persist).
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from groundup.checkpoint.checkpoint import save_checkpoint, take_snapshot
from groundup.checkpoint.retention import Retention
from groundup.models.families import Model
from groundup.optim import Optimizer


class CheckpointWriter:
    """Writes checkpoints to `folder` on a thread of its own, one at a time.

    What goes wrong there is raised by the next call of any method but `close`.
    """

    def __init__(self, folder: Path, retention: Retention):
        self._folder = folder
        self._retention = retention
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def begin(
        self, model: Model, optimizer: Optimizer, step: int, state: Mapping[str, Any]
    ) -> None:
        """Copy the state, and write it while the caller goes on; there is one copy at a time."""
        self.wait()
        snapshot = take_snapshot(model, optimizer, step, state)
        self._writing = self._thread.submit(
            save_checkpoint, self._folder, snapshot, self._retention
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
        """Wait for the write that goes on, whatever becomes of it."""
        self._thread.shutdown()
