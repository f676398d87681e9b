"""GRPO: group relative policy optimisation (Shao et al. 2024, "DeepSeekMath", section 4.1).

For each request the model writes a group of answers, a verifier rewards them, and an answer's
advantage is how far its reward lies above its group's mean, in standard deviations:

    A_i = (r_i − mean(r)) / (std(r) + ε)                                          (section 4.1.2)
    J = mean over answers i, over its tokens t, of  ρ_it · A_i − β · KL_it          (equation 3)

Each batch of answers is used for one update, so the ratio ρ between the policy that learns and the
one that wrote is 1, and only its gradient counts; clipping never acts. The divergence from the
reference model is estimated without bias, and never negative, by (equation 4)

    KL_it = π_ref / π − log(π_ref / π) − 1.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from groundup.align.chat import Example
from groundup.align.sft import MaskedBatch, collate
from groundup.checkpoint import Retention, save_model
from groundup.core.device import Device
from groundup.core.progress import progress_bar
from groundup.core.seeds import derive_seed
from groundup.data.shuffle import permute
from groundup.infer import Completion, Engine, Sampling
from groundup.layers import Implementation
from groundup.models import DecoderModel
from groundup.optim import ByRole, Schedule
from groundup.tokenizers import Tokenizer
from groundup.train import Guard, Journal, Training, steps
from groundup.verifiers.verifier import Problem, Verdict, Verifier, verify_batch

# Micro-batches are padded to a multiple of this: libraries prepare, and keep, a kernel per width.
_WIDTH_STEP = 32


@dataclass(frozen=True, kw_only=True)
class GRPO:
    """steps: updates. prompts: requests a step. group: answers a request. micro_batch: answers a
    forward pass. max_tokens: the longest answer. beta: weight of the divergence.
    attention, save_seconds, retention, guard: as in pretraining.
    shaping: share of the reward that an answer earns for how far it came; the rest is for passing.
    """

    steps: int
    optimizer: ByRole
    prompts: int = 8
    group: int = 8
    micro_batch: int = 32
    max_tokens: int = 96
    temperature: float = 1.0
    beta: float = 0.02
    attention: Implementation = "training"
    shaping: float = 0.2
    schedule: Schedule = Schedule(kind="constant", warmup=0.05)
    clip: float = 1.0
    save_seconds: float = 20.0
    retention: Retention = Retention()
    guard: Guard = Guard()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ValueError("a group needs at least two answers to compare")
        if self.prompts * self.group % self.micro_batch:
            raise ValueError("micro_batch must divide prompts × group")
        self.guard.check(self.retention)


@dataclass(frozen=True)
class Task:
    """A request as token ids, and the problem that its answers are verified against."""

    prompt: list[int]
    problem: Problem


@dataclass(frozen=True)
class Rollouts:
    """Answers to learn from. advantage: [B]. reference: log π_ref of each target, [B, T].

    notes: figures of the step that this micro-batch belongs to.
    """

    batch: MaskedBatch
    advantage: Tensor
    reference: Tensor
    notes: dict[str, float]


def grpo(
    config: GRPO,
    model: DecoderModel,
    reference: DecoderModel,
    tasks: Sequence[Task],
    verifier: Verifier,
    tokenizer: Tokenizer,
    directory: Path,
    *,
    stop: int,
    device: Device,
    console: Console,
) -> dict[str, Any]:
    """Train `model` in place on the verifier's reward, or go on where a killed run left it.

    reference: the model to stay close to; it is not changed. stop: the token that ends an answer.
    Writes `metrics.jsonl`, checkpoints, and at the end `model/`; returns the facts.
    """
    model.to(device.device)
    reference.to(device.device)
    training = Training(
        model=model,
        optimizer=config.optimizer.build(dict(model.named_parameters())),
        schedule=config.schedule,
        steps=config.steps,
        device=device,
        clip=config.clip,
        guard=config.guard,
    )

    def loss_of(model: DecoderModel, rollouts: Rollouts) -> tuple[Tensor, dict[str, float]]:
        return policy_loss(model, rollouts, config.beta, config.attention)

    with (
        Journal(directory, training, config.save_seconds, config.retention, console) as journal,
        progress_bar(console, f"GRPO, seed {config.seed}", config.steps) as advance,
    ):
        advance(training.step)
        batches = roll_out(config, training, reference, tasks, verifier, tokenizer, stop)
        for result in steps(training, batches, loss_of):
            journal.record(result)
            advance(1, f"passes {result.notes['score']:.0%}, KL {result.notes['kl']:.3f}")
            journal.save(force=result.step == config.steps)
        seconds = journal.seconds
    facts = {
        "steps": config.steps,
        "answers": config.steps * config.prompts * config.group,
        "seconds": seconds,
    }
    with training.optimizer.averaged():
        save_model(directory / "model", model, facts)
    return facts


def roll_out(
    config: GRPO,
    training: Training,
    reference: DecoderModel,
    tasks: Sequence[Task],
    verifier: Verifier,
    tokenizer: Tokenizer,
    stop: int,
) -> Iterator[list[Rollouts]]:
    """For each step that is left: write answers with the model as it is now, and judge them."""
    for step in range(training.step, config.steps):
        started = time.perf_counter()
        chosen = [task for task in _choose(config, tasks, step) for _ in range(config.group)]
        sampling = Sampling(
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            seed=derive_seed(config.seed, "answers", step),
        )
        engine = Engine(training.model, training.device, stop=[stop])
        answers = engine.generate([task.prompt for task in chosen], sampling)
        written = time.perf_counter()
        verdicts = verify_batch(
            verifier,
            [(t.problem, tokenizer.decode(a.tokens)) for t, a in zip(chosen, answers, strict=True)],
        )
        judged = time.perf_counter()
        reward = torch.tensor([_reward(verdict, config.shaping) for verdict in verdicts])
        advantage = group_advantage(reward, config.group)
        notes = {
            "score": sum(verdict.score for verdict in verdicts) / len(verdicts),
            "reward": float(reward.mean()),
            "flat_groups": _flat_groups(reward, config.group),
            "finished": sum(answer.finish == "stop" for answer in answers) / len(answers),
            "answer_tokens": sum(len(answer.tokens) for answer in answers) / len(answers),
            "verifier_raised": float(sum(verdict.raised for verdict in verdicts)),
            "rollout_seconds": written - started,
            "verify_seconds": judged - written,
        }
        examples = [_example(t, a, stop) for t, a in zip(chosen, answers, strict=True)]
        yield list(_micro_batches(config, training.device, reference, examples, advantage, notes))


def group_advantage(reward: Tensor, group: int, eps: float = 1e-4) -> Tensor:
    """(r − mean) / (std + eps) within each run of `group` rewards: [n] → [n]."""
    grouped = reward.view(-1, group)
    centred = grouped - grouped.mean(1, keepdim=True)
    return (centred / (grouped.std(1, keepdim=True) + eps)).flatten()


def policy_loss(
    model: DecoderModel, rollouts: Rollouts, beta: float, attention: Implementation = "sdpa"
) -> tuple[Tensor, dict[str, float]]:
    """Minus the objective J of the answers in a micro-batch, and the figures of its step."""
    batch = rollouts.batch
    log_policy = -model.losses(batch.tokens, batch.targets, implementation=attention)
    ratio = torch.exp(log_policy - log_policy.detach())
    gap = rollouts.reference - log_policy
    divergence = torch.exp(gap) - gap - 1
    objective = ratio * rollouts.advantage[:, None] - beta * divergence
    lengths = batch.weight.sum(1)
    loss = -((objective * batch.weight).sum(1) / lengths).mean()
    tokens = lengths.sum()
    notes = {
        "kl": float((divergence.detach() * batch.weight).sum() / tokens),
        "entropy": float(-(log_policy.detach() * batch.weight).sum() / tokens),
        **rollouts.notes,
    }
    return loss, notes


def _reward(verdict: Verdict, shaping: float) -> float:
    """Passing must be worth far more than coming near it, or coming near becomes the goal."""
    return (1 - shaping) * verdict.score + shaping * verdict.reward


def _choose(config: GRPO, tasks: Sequence[Task], step: int) -> list[Task]:
    """The tasks of a step; every pass over them in a new random order."""
    chosen = []
    for sample in range(step * config.prompts, (step + 1) * config.prompts):
        epoch, index = divmod(sample, len(tasks))
        key = derive_seed(config.seed, "tasks", epoch)
        chosen.append(tasks[int(permute(np.array([index]), len(tasks), key)[0])])
    return chosen


def _example(task: Task, answer: Completion, stop: int) -> Example:
    """The tokens that were drawn; an answer that was cut off did not draw the stop token."""
    drawn = [*answer.tokens, stop] if answer.finish == "stop" else answer.tokens
    return Example(tokens=task.prompt + drawn, answer=len(task.prompt))


def _micro_batches(
    config: GRPO,
    device: Device,
    reference: DecoderModel,
    examples: Sequence[Example],
    advantage: Tensor,
    notes: dict[str, float],
) -> Iterator[Rollouts]:
    """Answers of like length together, so that little is padding; with the reference's log π."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].tokens))
    for start in range(0, len(order), config.micro_batch):
        rows = order[start : start + config.micro_batch]
        longest = max(len(examples[i].tokens) for i in rows) - 1
        width = math.ceil(longest / _WIDTH_STEP) * _WIDTH_STEP
        batch = collate([[examples[i]] for i in rows], device, width=width)
        with torch.no_grad(), device.autocast():
            log_reference = -reference.losses(batch.tokens, batch.targets)
        yield Rollouts(batch, advantage[rows].to(device.device), log_reference, notes)


def _flat_groups(reward: Tensor, group: int) -> float:
    """Share of the groups whose answers all earn the same: they teach nothing."""
    grouped = reward.view(-1, group)
    return float((grouped.max(1).values == grouped.min(1).values).float().mean())
