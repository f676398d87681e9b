"""The training step, a generator: the loop that uses it stays visible in each kind of training.

for result in steps(training, batches, loss_of):
    log, save, validate
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.profiler import record_function

from groundup.core.device import Device
from groundup.core.errors import DivergedError
from groundup.models import LanguageModel
from groundup.optim import Optimizer, Schedule, clip_gradients

Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=LanguageModel)


@dataclass
class Training(Generic[Network]):
    """Everything that a step reads and changes.

    steps: how many the schedule is made for. step: how many have been done.
    """

    model: Network
    optimizer: Optimizer
    schedule: Schedule
    steps: int
    device: Device
    clip: float = 1.0
    step: int = 0


@dataclass(frozen=True)
class StepResult:
    """What a step did. step: counted from 1. loss: mean over its micro-batches, before the update.

    gradient_norm: before clipping. scale: the schedule's factor. notes: what the loss adds.
    """

    step: int
    loss: float
    gradient_norm: float
    scale: float
    notes: dict[str, float] = field(default_factory=dict)


def steps(
    training: Training[Network],
    batches: Iterable[Sequence[Batch]],
    loss_of: Callable[[Network, Batch], tuple[Tensor, dict[str, float]]],
    phase: Callable[[str], AbstractContextManager[object]] = record_function,
) -> Iterator[StepResult]:
    """Do one optimizer step for each element of `batches`, and yield what it did.

    An element is a sequence of micro-batches, whose gradients are averaged (accumulation).
    loss_of: (model, micro-batch) → scalar loss and notes; it runs under the device's autocast.
    phase: the context of a step's "forward", "backward" and "optimizer"; by default ranges of those
    names in a trace of PyTorch's profiler.
    Raises `DivergedError`, before anything is changed, where a gradient is not finite.
    """
    model, optimizer = training.model, training.optimizer
    for micro_batches in batches:
        losses, notes = [], []
        for micro_batch in micro_batches:
            with phase("forward"), training.device.autocast():
                loss, note = loss_of(model, micro_batch)
            with phase("backward"):
                (loss / len(micro_batches)).backward()
            losses.append(loss.detach())
            notes.append(note)
        with phase("optimizer"):
            norm = clip_gradients(model.parameters(), training.clip)
        if not math.isfinite(norm):
            raise DivergedError(
                f"training diverged at step {training.step + 1} (its gradient is {norm}): lower "
                "the learning rate, and start under another name."
            )
        scale = training.schedule.scale(training.step, training.steps)
        with phase("optimizer"), training.device.autocast():
            optimizer.step(scale)
        model.zero_grad(set_to_none=True)
        training.step += 1
        yield StepResult(
            step=training.step,
            loss=float(torch.stack(losses).mean()),
            gradient_norm=norm,
            scale=scale,
            notes={key: sum(n[key] for n in notes) / len(notes) for key in notes[0]},
        )
