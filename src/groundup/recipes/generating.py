"""How long generating stages take: an evaluation's answers and a step of GRPO, done once with an
untrained model.
"""

import time
from collections.abc import Sequence

from torch import Tensor

from groundup.align.chat import Example
from groundup.align.grpo import GRPO
from groundup.align.sft import MaskedBatch, collate
from groundup.core.device import Device
from groundup.infer import Engine, Sampling
from groundup.models import Decoder, DecoderModel
from groundup.optim import ByRole, Schedule
from groundup.train import Training, steps

# The most tokens of an evaluation's answer where there is no reinforcement learning to say it.
ANSWER_TOKENS = 128
_WARM_UP = Sampling(max_tokens=2)  # a GPU's first kernels are loaded for seconds


def grpo_seconds(
    config: GRPO, model: Decoder, prompts: Sequence[Sequence[int]], device: Device
) -> tuple[float, float]:
    """Of an answer and of a step, for answers of three quarters of the most tokens: a step takes as
    long as its longest answer (measured: 1.9 s where 61 of 96 tokens were the mean, at the first
    step, and 1.2 s where 16 were, at the last)."""
    training = _training(config.optimizer, model, device)
    engine = Engine(training.model, device, stop=[])
    drawn = [list(prompts[i % len(prompts)]) for i in range(config.prompts)]
    requests = [prompt for prompt in drawn for _ in range(config.group)]
    engine.generate(requests, _WARM_UP)
    started = time.perf_counter()
    answers = engine.generate(requests, Sampling(max_tokens=config.max_tokens * 3 // 4))
    generating = time.perf_counter() - started
    pairs = zip(requests, answers, strict=True)
    rows = [[Example(tokens=r + a.tokens, answer=len(r))] for r, a in pairs]
    width = max(len(row[0].tokens) for row in rows)
    groups = [rows[i : i + config.micro_batch] for i in range(0, len(rows), config.micro_batch)]
    micro = [collate(group, device, width=width) for group in groups]
    times = [time.perf_counter() for _ in steps(training, [micro, micro], _mean_loss)]
    training_seconds = times[1] - times[0]
    # The reference's forward pass is a third of the training pass.
    return generating / len(requests), generating + training_seconds * 4 / 3


def answer_seconds(model: Decoder, requests: Sequence[Sequence[int]], device: Device) -> float:
    """Of an answer among others, of three quarters of the most tokens."""
    engine = Engine(model.build(0).to(device.device), device, stop=[])
    engine.generate(requests, _WARM_UP)
    started = time.perf_counter()
    engine.generate(requests, Sampling(max_tokens=ANSWER_TOKENS * 3 // 4))
    return (time.perf_counter() - started) / len(requests)


def _training(optimizer: ByRole, model: Decoder, device: Device) -> Training:
    network = model.build(0).to(device.device)
    return Training(
        model=network,
        optimizer=optimizer.build(dict(network.named_parameters())),
        schedule=Schedule(kind="constant", warmup=0.0),
        steps=1,
        device=device,
    )


def _mean_loss(model: DecoderModel, batch: MaskedBatch) -> tuple[Tensor, dict[str, float]]:
    return model.losses(batch.tokens, batch.targets).mean(), {}
