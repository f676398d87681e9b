"""The record of a training loop: where it stands, and what it has measured, safe from a kill.

Every loop (pretraining, fine-tuning, reinforcement learning) keeps one. It opens where a killed
run left off, and what it writes after the newest checkpoint is forgotten on the next start, so a
resumed run's record is that of a run which never stopped. SIGTERM ends a loop at its next step,
with a checkpoint of it.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from groundup.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from groundup.core.metrics import MetricsWriter
from groundup.core.terminate import Terminated, noticing_sigterm
from groundup.train.step import Training


class Journal:
    """`metrics.jsonl` and checkpoints of the training in `directory`.

    seconds: training time so far, that of killed runs up to their last checkpoint included.
    """

    def __init__(self, directory: Path, training: Training[Any], save_seconds: float):
        """Loads the newest checkpoint into `training` where there is one."""
        self._checkpoints = directory / "checkpoints"
        self._training = training
        self._save_seconds = save_seconds
        self._context = ExitStack()
        self._before = 0.0
        if newest := latest_checkpoint(self._checkpoints):
            state = load_checkpoint(newest, training.model, training.optimizer)
            training.step, self._before = state["step"], state["seconds"]
        resumed_at = training.step
        self._metrics = MetricsWriter(
            directory / "metrics.jsonl", keep=lambda record: record["step"] <= resumed_at
        )
        self._started = self._saved = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._started

    def write(self, **record: Any) -> None:
        """Append a record of the current step to the metrics."""
        self._metrics.write(step=self._training.step, seconds=round(self.seconds, 3), **record)

    def save(self, *, force: bool) -> None:
        """Write a checkpoint if the last one is `save_seconds` old, or when forced.

        Raises `Terminated`, with a checkpoint written, once SIGTERM has come.
        """
        terminated = self._terminated()
        if force or terminated or time.perf_counter() - self._saved > self._save_seconds:
            training = self._training
            facts = {"seconds": self.seconds}
            save_checkpoint(
                self._checkpoints, training.model, training.optimizer, training.step, facts
            )
            self._saved = time.perf_counter()
        if terminated:
            raise Terminated

    def __enter__(self) -> "Journal":
        self._terminated = self._context.enter_context(noticing_sigterm())
        return self

    def __exit__(self, *exception: object) -> None:
        self._context.close()
        self._metrics.close()
