"""The training step, a generator: the loop that uses it stays visible in each kind of training.

for result in steps(training, batches, loss_of):
    log, save, validate
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import InitVar, dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.profiler import record_function

from groundup.core.device import Device
from groundup.core.seeds import derive_seed
from groundup.models import LanguageModel
from groundup.optim import Optimizer, Schedule
from groundup.parallel.exchange import Exchange
from groundup.parallel.parallelism import alone
from groundup.train.guard import Guard, Incident, Watch
from groundup.train.loss_scale import LossScale

Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=LanguageModel)


@dataclass
class Training(Generic[Network]):
    """Everything that a step reads and changes.

    steps: how many the schedule is made for. step: how many have been done. guard: which steps are
    refused; watch: what it has seen. seed: of what is left to chance, anew in each step, so that a
    resumed run draws what it would have drawn. exchange: with other processes; by default there are
    none.
    """

    model: Network
    optimizer: Optimizer
    schedule: Schedule
    steps: int
    device: Device
    clip: float = 1.0
    guard: Guard = Guard()
    seed: int = 0
    step: int = 0
    with_others: InitVar[Exchange | None] = None
    exchange: Exchange = field(init=False)
    watch: Watch = field(init=False)
    loss_scale: LossScale = field(init=False)

    def __post_init__(self, with_others: Exchange | None) -> None:
        self.exchange = with_others or alone(self.model, self.optimizer)
        self.watch = Watch(self.guard)
        self.loss_scale = LossScale.of(self.device.compute_dtype)


@dataclass(frozen=True)
class StepResult:
    """What a step did. step: counted from 1. loss: mean over its micro-batches and all processes,
    before the update.

    gradient_norm: before clipping. scale: the schedule's factor. notes: what the loss adds.
    incident: why the step was refused; None for one that was made.
    """

    step: int
    loss: float
    gradient_norm: float
    scale: float
    notes: dict[str, float] = field(default_factory=dict)
    incident: Incident | None = None


def steps(
    training: Training[Network],
    batches: Iterable[Sequence[Batch]],
    loss_of: Callable[[Network, Batch], tuple[Tensor, dict[str, float]]],
    phase: Callable[[str], AbstractContextManager[object]] = record_function,
) -> Iterator[StepResult]:
    """Do one optimizer step for each element of `batches`, and yield what it did.

    An element is a sequence of micro-batches, whose gradients are averaged (accumulation); so are
    those of the processes, each of which has its own rows of every micro-batch.
    loss_of: (model, micro-batch) → scalar loss and notes; it runs under the device's autocast.
    phase: the context of a step's "forward", "backward" and "optimizer"; by default ranges of those
    names in a trace of PyTorch's profiler.
    A step that the training's guard refuses leaves weights and optimizer as they are; it counts all
    the same, as data and learning rate hang on it, and its result says why. What else is to be done
    is the journal's part. A step whose gradients overflow float16 is left out, too, but is none of
    the guard's: the next ones are scaled down.
    """
    model, optimizer, loss_scale = training.model, training.optimizer, training.loss_scale
    exchange, group = training.exchange, training.exchange.group
    for micro_batches in batches:
        torch.manual_seed(derive_seed(training.seed, "rows", training.step, group.rank))
        parts = len(micro_batches) * exchange.mesh.rows.size
        losses, notes, left = [], [], len(micro_batches)
        graphs: dict[int, Tensor] = {}  # of the losses whose backward pass is to come
        for kind, index in exchange.order(len(micro_batches)):
            if kind == "forward":
                with phase("forward"), training.device.autocast():
                    loss, note = loss_of(model, micro_batches[index])
                graphs[index] = loss * (loss_scale.factor / parts)
                losses.append(loss.detach())
                notes.append(note)
                del loss  # it holds the graph
            else:
                left -= 1
                with phase("backward"):
                    exchange.backward(graphs.pop(index), last=left == 0)
        with phase("optimizer"):
            loss_scale.undo(exchange.held())
            norm = exchange.clip(training.clip)
        mean, incident = exchange.mean(float(torch.stack(losses).mean())), None
        overflowed = loss_scale.overflowed(norm)
        if not overflowed:
            incident = training.watch.judge(training.step + 1, mean, norm, micro_batches)
        scale = training.schedule.scale(training.step, training.steps)
        if incident is None and not overflowed:
            torch.manual_seed(derive_seed(training.seed, "update", training.step))
            with phase("optimizer"), training.device.autocast():
                optimizer.step(scale)
        exchange.clear()
        training.step += 1
        yield StepResult(
            step=training.step,
            loss=mean,
            gradient_norm=norm,
            scale=scale,
            notes={key: sum(n[key] for n in notes) / len(notes) for key in notes[0]},
            incident=incident,
        )
