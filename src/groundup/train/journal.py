"""The record of a training loop: where it stands, and what it has measured, safe from a kill.

Every loop (pretraining, fine-tuning, reinforcement learning) keeps one. It opens where a killed
run left off, and what it writes after the newest checkpoint is forgotten on the next start, so a
resumed run's record is that of a run which never stopped. SIGTERM ends a loop at its next step,
with a checkpoint of it. What the guard has decided about a step is done here, where the
checkpoints are. Of several processes the first keeps the record, and all save at the same steps.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from groundup.checkpoint import (
    CheckpointWriter,
    Retention,
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
    step_of,
)
from groundup.core.errors import DivergedError
from groundup.core.files import write_json
from groundup.core.metrics import MetricsWriter
from groundup.core.terminate import Terminated, noticing_sigterm
from groundup.train.incident import keep_batch
from groundup.train.step import StepResult, Training


class Journal:
    """`metrics.jsonl`, `checkpoints/` and `incidents/` of the training in `directory`, and in
    `training.json` how many steps it will have.

    seconds: training time so far, that of killed runs up to their last checkpoint included.
    """

    def __init__(
        self,
        directory: Path,
        training: Training[Any],
        save_seconds: float,
        retention: Retention,
        console: Console,
    ):
        """Loads the newest checkpoint into `training` where there is one."""
        self._directory = directory
        self._checkpoints = directory / "checkpoints"
        self._training = training
        self._group = training.exchange.group
        self._save_seconds = save_seconds
        self._console = console
        self._retention = retention
        self._writer = CheckpointWriter(self._checkpoints, retention, training.exchange)
        self._context = ExitStack()
        self._before = 0.0
        newest = latest_checkpoint(self._checkpoints)
        step = self._group.of_first(step_of(newest) if newest else 0)
        if step:
            newest = checkpoint_path(self._checkpoints, step)
            state = load_checkpoint(newest, training.model, training.optimizer, training.exchange)
            training.step, self._before = state["step"], state["seconds"]
            training.watch.load(state["watch"])
            training.loss_scale.load(state["loss_scale"])
        resumed_at = training.step
        self._metrics = None
        if self._group.rank == 0:
            self._metrics = MetricsWriter(
                directory / "metrics.jsonl", keep=lambda record: record["step"] <= resumed_at
            )
            write_json(directory / "training.json", {"steps": training.steps})
        self._started = self._saved = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._started

    def write(self, **record: Any) -> None:
        """Append a record of the current step to the metrics."""
        if self._metrics is not None:
            self._metrics.write(step=self._training.step, seconds=round(self.seconds, 3), **record)

    def record(self, result: StepResult, **more: Any) -> None:
        """Write what a step did, and `more`. Where the guard has refused the step, keep its batch
        and do what the guard says: raises `DivergedError` where that is to stop."""
        facts = {"loss": result.loss, "gradient_norm": result.gradient_norm, **result.notes, **more}
        if (incident := result.incident) is None:
            self.write(**facts)
            return
        self.write(**facts, incident=incident.reason, action=incident.action)
        folder = self._directory / "incidents"
        path = keep_batch(folder, result, incident.micro_batches, self._group)
        kept = f"the batch is in {path}"
        if incident.action == "stop":
            raise DivergedError(
                f"training diverged at step {result.step} ({incident.reason}), and {kept}: lower "
                "the learning rate, and start under another name."
            )
        done = self._roll_back(result.step) if incident.action == "rollback" else "skipped"
        line = f"  step {result.step} was {done}: {incident.reason}; {kept}."
        self._console.print(line, markup=False, soft_wrap=True)

    def save(self, *, force: bool) -> None:
        """Begin a checkpoint if the last one is `save_seconds` old, if its step is one to keep for
        good, or when forced; it is written while the training goes on.

        Raises `Terminated`, with a checkpoint written, once SIGTERM has come, to any process. A
        forced one is written too when this returns. What went wrong with the one before is raised
        here.
        """
        terminated = self._group.any(self._terminated())
        self._writer.check()
        due = self._group.any(time.perf_counter() - self._saved > self._save_seconds)
        if force or terminated or due or self._retention.permanent(self._training.step):
            training = self._training
            state = {
                "seconds": self.seconds,
                "watch": training.watch.state(),
                "loss_scale": training.loss_scale.state(),
            }
            self._writer.begin(training.model, training.optimizer, training.step, state)
            self._saved = time.perf_counter()
        if force or terminated:
            self._written()
        if terminated:
            raise Terminated

    def _written(self) -> None:
        """Until what was begun is on the disk, all of it."""
        self._writer.wait()
        self._group.barrier()

    def _roll_back(self, step: int) -> str:
        """Load the newest checkpoint of a fixed step before `step`; says what was done."""
        every = self._retention.every
        target = (step - 1) // every * every if every else 0
        if not target:
            return "skipped, as no checkpoint kept for good comes before it"
        self._written()
        load_checkpoint(
            checkpoint_path(self._checkpoints, target),
            self._training.model,
            self._training.optimizer,
            self._training.exchange,
        )
        return f"undone, with all since step {target}"

    def __enter__(self) -> "Journal":
        self._terminated = self._context.enter_context(noticing_sigterm())
        if self._metrics is not None:
            self._context.callback(self._metrics.close)
        self._context.callback(self._writer.close)
        return self

    def __exit__(self, *exception: object) -> None:
        self._context.close()
