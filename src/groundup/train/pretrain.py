"""Pretraining: next-token prediction over token shards, in one visible loop.

The run can be killed at any moment. What it needs to go on is in the newest checkpoint: weights,
optimizer state and the step number; everything else (batches, learning rate) is a function of the
step. A resumed run ends with the same bits as one that was never stopped.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from groundup.checkpoint import Retention, save_together
from groundup.core.device import Device
from groundup.core.mesh import DATA, Mesh
from groundup.core.processes import ONE, Group
from groundup.core.progress import progress_bar
from groundup.core.seeds import derive_seed
from groundup.data.batches import Batches
from groundup.data.mixture import Mixture, Source
from groundup.data.prefetch import prefetched
from groundup.data.shards import TokenShards
from groundup.data.windows import Windows
from groundup.layers import Implementation, RouterReport
from groundup.models import Decoder, LanguageModel, RecurrentLM
from groundup.models.recompute import Recompute
from groundup.optim import EMA, ByRole, Narrow, Schedule
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.parallelism import REPLICATED, Parallelism
from groundup.train.bits_per_byte import bits_per_byte
from groundup.train.compile import compile_model
from groundup.train.guard import Guard
from groundup.train.journal import Journal
from groundup.train.routing import rebalance, router_notes
from groundup.train.step import Training, steps


class MicroBatch(NamedTuple):
    """As `data.batches.Batch`, on the device: int64 [B, T] each."""

    tokens: Tensor
    targets: Tensor
    documents: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """steps: optimizer steps. batch: sequences a micro-batch. accumulation: micro-batches a step.

    batch_warmup: the share of the steps in which their micro-batches rise from one to
    `accumulation`: early gradients point alike, so a small batch shows where to go (McCandlish et
    al. 2018, "An empirical model of large-batch training", section 2.2).
    document_mask: no text sees those before it in its window; else a window is one text.
    z_loss: a factor of the penalty on logits that drift (see `models.block.cross_entropies`).
    compile: compile blocks and readout. attention: how training computes it (see layers).
    recompute: what the backward pass computes anew, to save memory.
    validations: how many times the loss on held-out text is measured on the way.
    validation_documents: on how many held-out documents.
    save_seconds: time between checkpoints. retention: which of them stay.
    guard: what is done where a step's loss or gradient is not finite, or a spike.
    weights: the format that the model holds them in, and what becomes of updates that are too small
    for it (see `optim.narrow`): "bfloat16" keeps float32 copies, "bfloat16_alone" rounds by chance.
    ema: where given, what is measured and kept at the end is an average of the weights.
    balance_rate: how far a step moves the biases of a mixture's experts (see `layers.moe`).
    """

    steps: int
    batch: int
    optimizer: ByRole
    schedule: Schedule = Schedule()
    accumulation: int = 1
    batch_warmup: float = 0.0
    clip: float = 1.0
    document_mask: bool = False
    z_loss: float = 0.0
    compile: bool = True
    attention: Implementation = "training"
    recompute: Recompute = "nothing"
    validations: int = 8
    validation_documents: int = 16
    save_seconds: float = 20.0
    retention: Retention = Retention()
    guard: Guard = Guard()
    weights: Literal["float32", "bfloat16", "bfloat16_alone"] = "float32"
    ema: EMA | None = None
    balance_rate: float = 0.001
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.accumulation) < 1:
            raise ValueError("steps, batch and accumulation must be at least 1")
        if not 0 <= self.batch_warmup <= 1:
            raise ValueError("batch_warmup is a share of the steps, from 0 to 1")
        self.guard.check(self.retention)

    def micro_batches_of(self, step: int) -> int:
        """How many micro-batches step `step` (from 0) has."""
        rising = self.batch_warmup * self.steps
        if step >= rising:
            return self.accumulation
        return math.ceil(self.accumulation * min(1.0, (step + 1) / rising))

    def micro_batches_before(self, step: int) -> int:
        """How many the steps before `step` have together."""
        return sum(map(self.micro_batches_of, range(step)))

    def steps_within(self, micro_batches: int) -> int:
        """The most steps that have so many micro-batches together."""
        steps = math.ceil(micro_batches / self.accumulation / (1 - self.batch_warmup / 2))
        while steps and replace(self, steps=steps).micro_batches_before(steps) > micro_batches:
            steps -= 1
        return steps

    def validated_steps(self) -> frozenset[int]:
        """After which steps the loss on held-out text is measured, the last not among them."""
        points = range(1, self.validations + 1)
        steps = (i * self.steps // (self.validations + 1) for i in points)
        return frozenset(step for step in steps if step)

    @property
    def weights_dtype(self) -> torch.dtype:
        return torch.float32 if self.weights == "float32" else torch.bfloat16

    @property
    def whole_optimizer(self) -> OptimizerConfig:
        """The optimizer, with what is around it."""
        whole: OptimizerConfig = self.optimizer
        if self.weights != "float32":
            whole = Narrow("nearest" if self.weights == "bfloat16" else "stochastic", whole)
        return self.ema.around(whole) if self.ema else whole


def start_training(
    config: Pretrain,
    model_config: Decoder | RecurrentLM,
    device: Device,
    group: Group = ONE,
    parallelism: Parallelism = REPLICATED,
) -> Training[LanguageModel]:
    """A fresh model and optimizer, ready for the first step; of this process, in a group."""
    model = model_config.build(derive_seed(config.seed, "weights"))
    for parameter in model.parameters():  # and no buffers: a router's biases move in small steps
        parameter.data = parameter.data.to(config.weights_dtype)
    part = parallelism.divide(model, group, device.device)
    if config.compile:
        compile_model(cast(LanguageModel, part.model))
    exchange, optimizer = parallelism.apply(part, config.whole_optimizer, device.compute_dtype)
    return Training(
        model=cast(LanguageModel, part.model),
        optimizer=optimizer,
        schedule=config.schedule,
        steps=config.steps,
        device=device,
        clip=config.clip,
        guard=config.guard,
        seed=derive_seed(config.seed, "chance"),
        with_others=exchange,
    )


def micro_batches(
    config: Pretrain, batches: Batches, first: int, device: Device
) -> Iterator[list[MicroBatch]]:
    """The micro-batches of each step from `first` (from 0) to the last."""
    begin = config.micro_batches_before(first)
    for step in range(first, config.steps):
        end = begin + config.micro_batches_of(step)
        yield [_tensors(batches, index, device) for index in range(begin, end)]
        begin = end


def batch_loss(
    config: Pretrain, model: LanguageModel, batch: MicroBatch
) -> tuple[Tensor, list[RouterReport]]:
    """What a micro-batch is trained for: the mean of its tokens' losses, and its routers' own."""
    reports: list[RouterReport] = []
    losses = model.losses(
        batch.tokens,
        batch.targets,
        documents=batch.documents,
        implementation=config.attention,
        reports=reports,
        recompute=config.recompute,
        z_loss=config.z_loss,
    )
    return losses.mean() + sum(report.loss for report in reports), reports


def _tensors(batches: Batches, index: int, device: Device) -> MicroBatch:
    tokens, targets, documents = batches.read(index)
    return MicroBatch(
        _tensor(tokens, device),
        _tensor(targets, device),
        None if documents is None else _tensor(documents, device),
    )


def _tensor(array: np.ndarray, device: Device) -> Tensor:
    """On the device. A GPU fetches it from pinned memory while the processor goes on."""
    tensor = torch.from_numpy(array)
    if device.device.type != "cuda":
        return tensor.to(device.device)
    return tensor.contiguous().pin_memory().to(device.device, non_blocking=True)


def pretrain(
    config: Pretrain,
    model_config: Decoder | RecurrentLM,
    train: TokenShards | Sequence[Source],
    validation: TokenShards,
    directory: Path,
    *,
    end_of_text: int,
    device: Device,
    console: Console,
    group: Group = ONE,
    parallelism: Parallelism = REPLICATED,
    measure: Callable[[LanguageModel, Mesh], Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Train a model from scratch, or go on where a killed run left it; returns the run's facts.

    train: one corpus, or several to be mixed by their weights. Writes `metrics.jsonl`, checkpoints
    while it runs, and at the end `model/`. group: the processes that train together, each calling
    this; each reads its rows of every micro-batch. measure: what else is to be known of the
    finished model, or of what each process of the mesh has of it.
    """
    training = start_training(config, model_config, device, group, parallelism)
    mesh = training.exchange.mesh
    window = {"context": model_config.context, "seed": config.seed}
    batches = Batches(
        samples=Windows(shards=train, **window)
        if isinstance(train, TokenShards)
        else Mixture(sources=tuple(train), **window),
        batch=config.batch,
        documents=config.document_mask,
        rank=mesh.rows.rank,
        world=mesh.rows.size,
    )
    tokens_of_one = config.batch * model_config.context  # micro-batch

    loads: list[list[Tensor]] = []  # of each router, in each micro-batch of the step

    def loss_of(model: LanguageModel, batch: MicroBatch) -> tuple[Tensor, dict[str, float]]:
        loss, reports = batch_loss(config, model, batch)
        loads.append([report.load for report in reports])
        return loss, router_notes(reports)

    validated = config.validated_steps()
    with (
        Journal(directory, training, config.save_seconds, config.retention, console) as journal,
        prefetched(micro_batches(config, batches, training.step, device)) as loaded,
        progress_bar(console, "pretrain", config.steps) as advance,
    ):
        advance(training.step)
        tokens = config.micro_batches_before(training.step) * tokens_of_one
        for result in steps(training, loaded, loss_of):
            if result.incident is None:
                of_tokens = mesh.over(*DATA, "context")
                rebalance(training.model, loads, config.balance_rate, of_tokens)
            loads.clear()
            tokens += config.micro_batches_of(result.step - 1) * tokens_of_one
            journal.record(result, tokens=tokens, lr=config.optimizer.matrices.lr * result.scale)
            advance(1, f"loss {result.loss:.3f}")
            if result.step in validated:
                with training.optimizer.averaged():
                    bits = bits_per_byte(
                        training.model,
                        validation,
                        device,
                        end_of_text=end_of_text,
                        documents=config.validation_documents,
                        document_mask=config.document_mask,
                        mesh=mesh,
                    )
                journal.write(tokens=tokens, validation_bits_per_byte=bits)
            journal.save(force=result.step == config.steps)  # the last thing: SIGTERM ends here
        seconds = journal.seconds
    read = config.micro_batches_before(config.steps)
    facts = {
        "steps": config.steps,
        "tokens": read * tokens_of_one,
        "epochs": batches.epochs(read),
        "parameters": training.model.parameter_count(),
        "seconds": seconds,
    }
    with training.optimizer.averaged():
        dtype = config.weights_dtype
        save_together(directory / "model", training.model, facts, training.exchange, dtype)
        return facts if measure is None else {**facts, **measure(training.model, mesh)}
