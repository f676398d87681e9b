"""Supervised fine-tuning: the pretraining step on examples, with the loss on the answers alone.

Short examples are packed into rows of the model's context, so that the step has pretraining's
shape and speed and little of it is padding. An example sees those before it in its row, as a
document does in pretraining.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from groundup.align.chat import Example
from groundup.checkpoint import Retention, save_model
from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.progress import progress_bar
from groundup.core.seeds import derive_seed
from groundup.data.shuffle import permute
from groundup.layers import Implementation
from groundup.models import DecoderModel
from groundup.optim import ByRole, Schedule
from groundup.train import Guard, Journal, Training, steps
from groundup.train.compile import compile_model


@dataclass(frozen=True, kw_only=True)
class SFT:
    """steps: optimizer steps. batch: rows a step.

    compile, attention, save_seconds, retention, guard: as in pretraining.
    """

    steps: int
    batch: int
    optimizer: ByRole
    compile: bool = True
    attention: Implementation = "training"
    schedule: Schedule = Schedule(decay=1.0)
    clip: float = 1.0
    save_seconds: float = 20.0
    retention: Retention = Retention()
    guard: Guard = Guard()
    seed: int = 0

    def __post_init__(self) -> None:
        self.guard.check(self.retention)


@dataclass(frozen=True)
class MaskedBatch:
    """tokens, targets: integers [B, T]. weight: float32 [B, T], 1 where the target is learned."""

    tokens: Tensor
    targets: Tensor
    weight: Tensor


def fine_tune(
    config: SFT,
    model: DecoderModel,
    examples: Sequence[Example],
    directory: Path,
    *,
    device: Device,
    console: Console,
) -> dict[str, Any]:
    """Train `model` in place on the examples, or go on where a killed run left it.

    Examples longer than the model's context are left out and counted. Writes `metrics.jsonl`,
    checkpoints, and at the end `model/`; returns the facts.
    """
    context = model.config.context
    fitting = [example for example in examples if len(example.tokens) <= context + 1]
    if not fitting:
        raise InputError(
            f"none of the {len(examples)} examples fits the model's context of {context} tokens."
        )
    model.to(device.device).train()
    if config.compile:
        compile_model(model)
    training = Training(
        model=model,
        optimizer=config.optimizer.build(dict(model.named_parameters())),
        schedule=config.schedule,
        steps=config.steps,
        device=device,
        clip=config.clip,
        guard=config.guard,
    )

    def loss_of(model: DecoderModel, batch: MaskedBatch) -> tuple[Tensor, dict[str, float]]:
        losses = model.losses(batch.tokens, batch.targets, implementation=config.attention)
        return (losses * batch.weight).sum() / batch.weight.sum(), {}

    with (
        Journal(directory, training, config.save_seconds, config.retention, console) as journal,
        progress_bar(console, "fine-tune", config.steps) as advance,
    ):
        advance(training.step)
        rows = itertools.islice(
            packed_rows(fitting, context, config.seed), training.step * config.batch, None
        )
        batches = (
            [collate(list(itertools.islice(rows, config.batch)), device, width=context)]
            for _ in range(training.step, config.steps)
        )
        for result in steps(training, batches, loss_of):
            journal.record(result, lr=config.optimizer.matrices.lr * result.scale)
            advance(1, f"loss {result.loss:.3f}")
            journal.save(force=result.step == config.steps)
        seconds = journal.seconds
    rows_an_epoch = sum(len(example.tokens) for example in fitting) / context  # about
    facts = {
        "steps": config.steps,
        "examples": len(fitting),
        "too_long": len(examples) - len(fitting),
        "epochs": config.steps * config.batch / rows_an_epoch,
        "seconds": seconds,
    }
    with training.optimizer.averaged():
        save_model(directory / "model", model, facts)
    return facts


def packed_rows(examples: Sequence[Example], context: int, seed: int) -> Iterator[list[Example]]:
    """Rows of whole examples, at most `context` + 1 tokens long together, epoch after epoch.

    Every epoch takes each example once, in a new random order; a row is closed by the first
    example that does not fit.
    """
    for epoch in itertools.count():
        order = permute(np.arange(len(examples)), len(examples), derive_seed(seed, "epoch", epoch))
        row: list[Example] = []
        length = 0
        for index in order:
            example = examples[index]
            if length + len(example.tokens) > context + 1:
                yield row
                row, length = [], 0
            row.append(example)
            length += len(example.tokens)
        yield row


def collate(rows: Sequence[Sequence[Example]], device: Device, *, width: int) -> MaskedBatch:
    """Rows of examples as tensors [rows, width], padded on the right; padding is never learned.

    A causal model's tokens do not see what stands behind them, so padding needs no mask. Of each
    example only the answer is learned: the tokens from `answer` on, as targets.
    """
    tokens = torch.zeros(len(rows), width, dtype=torch.int64)
    targets = torch.zeros_like(tokens)
    weight = torch.zeros(len(rows), width)
    for number, row in enumerate(rows):
        ids = torch.tensor(list(itertools.chain.from_iterable(e.tokens for e in row)))
        tokens[number, : len(ids) - 1] = ids[:-1]
        targets[number, : len(ids) - 1] = ids[1:]
        start = 0
        for example in row:
            end = start + len(example.tokens)
            weight[number, start + example.answer - 1 : end - 1] = 1.0
            start = end
    return MaskedBatch(*(part.to(device.device) for part in (tokens, targets, weight)))
