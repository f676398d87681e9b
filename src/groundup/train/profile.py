"""Where the time and the memory of a training step go, measured on steps of the training itself.

Phases are timed as the model trains (compiled, where it is); parts on the same model as plain
PyTorch, because compiled code knows no borders between them. Tokens are random: neither depends on
which they are, save how a mixture's experts are loaded.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor
from torch.profiler import ProfilerActivity, record_function

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.files import write_bytes
from groundup.core.memory import release_memory, resident_bytes
from groundup.core.progress import progress_bar
from groundup.data.batches import Batches
from groundup.data.shards import TokenShards, write_shards
from groundup.data.windows import Windows
from groundup.models import Decoder, LanguageModel, RecurrentLM, training_flops
from groundup.models.memory import TrainingMemory
from groundup.models.parts import part_flops
from groundup.tokenizers import Pieces
from groundup.tokenizers.patterns import CHARACTER
from groundup.train.meters import REST, Stopwatch, median_of, phase_of
from groundup.train.micro_batches import free_memory, predicted_memory
from groundup.train.pretrain import (
    MicroBatch,
    Pretrain,
    batch_loss,
    micro_batches,
    start_training,
)
from groundup.train.probe import machine_description, peak_bandwidth, peak_flops
from groundup.train.profile_parts import bytes_by_kind, profile_parts
from groundup.train.step import steps

_TRACE = "trace.json"
_WARM_UP = 2  # steps: the first compiles, the second still fills the allocator
_MOST_TOKENS = 1 << 20  # of the text that batches are read from
_FIRST_CHARACTER = 0x10000  # beyond the surrogates

_HOW = {
    "phases": "Median step as it trains. data: a batch from token shards in the system's cache. "
    "optimizer: clipping and update.",
    "parts": "One micro-batch as plain PyTorch, median pass; the device is waited for at each "
    "border. FLOPs: matrix products by the config, causal attention half the square. Bytes: if "
    "every operator read its inputs from memory and wrote its outputs there.",
    "memory": "Predicted by the config alone. Measured: the tensors; of activations what autograd "
    "saved, each storage once, without weights; all: growth of the process over two steps, or on "
    "a GPU the most that was allocated, gradients of activations and workspaces included.",
    "peaks": "The peak is the best rate of square matrix products before and after, or of the step "
    "or a part if that was higher, so no share exceeds 100 %. The memory's is that of a large "
    "copy, bytes read and written.",
}


def profile_training(
    config: Pretrain,
    model: Decoder | RecurrentLM,
    device: Device,
    directory: Path,
    *,
    repeats: int,
    console: Console,
) -> dict[str, Any]:
    """A JSON value: `machine`, `peaks`, `step`, `parts`, `memory`, and `how` each was measured.

    repeats: steps that are timed; figures are those of the step with the median time. Writes one
    step's trace to `directory`. Raises `InputError` where the memory does not suffice.
    """
    if model.vocab_size < 3:
        raise InputError(
            f"a vocabulary of {model.vocab_size} is too small to profile: 3 is the least."
        )
    steps_done = _WARM_UP + repeats + 1  # one is traced
    config = dataclasses.replace(config, steps=steps_done, batch_warmup=0.0)
    predicted = _predict(config, model, device)
    with progress_bar(console, "profile", 4) as advance:
        parts, memory = _profile_parts(config, model, device, repeats)
        advance()
        matrix_rates = [_matrix_rate(device)]
        bandwidth = peak_bandwidth(device, seconds=0.5)
        advance()
        phases = _profile_phases(config, model, device, directory / _TRACE)
        advance()
        matrix_rates.append(_matrix_rate(device))
        advance()
    step = _describe_step(config, model, phases)
    # What a step or a part reached, the device can do: so no share exceeds the whole.
    reached = [step["flops_per_second"], *(part["flops_per_second"] for part in parts)]
    peak = max(*matrix_rates, *reached)
    for figures in (step, *parts):
        figures["share_of_peak"] = figures["flops_per_second"] / peak
    return {
        "machine": machine_description(device),
        "peaks": {
            "flops_per_second": peak,
            "matrix_products": matrix_rates,
            "bytes_per_second": bandwidth,
        },
        "step": step,
        "parts": parts,
        "memory": {"predicted": dataclasses.asdict(predicted), "measured": memory},
        "how": _HOW,
    }


def _predict(config: Pretrain, model: Decoder | RecurrentLM, device: Device) -> TrainingMemory:
    predicted, available = predicted_memory(config, model, device), free_memory(device)
    if available is not None and predicted.total > available:
        raise InputError(
            f"a step needs about {predicted.total / 1e9:.1f} GB of memory and "
            f"{available / 1e9:.1f} GB are free: make pretrain.batch, model.context or the model "
            "smaller."
        )
    return predicted


def _matrix_rate(device: Device) -> float:
    """A GPU reaches its rate with larger matrices than a CPU."""
    size = 2048 if device.device.type == "cpu" else 8192
    return peak_flops(device, size=size, seconds=0.5)


def _loss_of(
    config: Pretrain, model: LanguageModel, batch: MicroBatch
) -> tuple[Tensor, dict[str, float]]:
    return batch_loss(config, model, batch)[0], {}


def _profile_phases(
    config: Pretrain, model: Decoder | RecurrentLM, device: Device, trace: Path
) -> dict[str, float]:
    """Seconds of each phase in the median step; the last step's trace is written."""
    training = start_training(config, model, device)
    loss_of = partial(_loss_of, config)
    stopwatch = Stopwatch[str](device)
    timed = partial(phase_of, stopwatch)
    with tempfile.TemporaryDirectory() as folder:
        batches = _random_batches(config, model, Path(folder))
        last = config.steps - 1
        until_last = dataclasses.replace(config, steps=last)
        source = _reading(micro_batches(until_last, batches, 0, device), timed)
        times = [stopwatch.take() for _ in steps(training, source, loss_of, timed)]
        activities = [ProfilerActivity.CPU]
        if device.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=activities) as profiler:
            source = _reading(micro_batches(config, batches, last, device), record_function)
            for _ in steps(training, source, loss_of):
                pass
        profiler.export_chrome_trace(f"{folder}/{_TRACE}")
        write_bytes(trace, Path(folder, _TRACE).read_bytes())
    return median_of(times[_WARM_UP:])


def _reading(
    source: Iterator[list[MicroBatch]], phase: Callable[[str], AbstractContextManager[object]]
) -> Iterator[list[MicroBatch]]:
    """The same, read within the context of the phase "data"."""
    while True:
        with phase("data"):
            batch = next(source, None)
        if batch is None:
            return
        yield batch


def _random_batches(config: Pretrain, model: Decoder | RecurrentLM, folder: Path) -> Batches:
    """Batches from shards in `folder`: a text of random characters, each of which is a token."""
    size = min(model.vocab_size, 1 << 20) - 2  # <unk> and end of text are tokens too
    end = "<|end|>"
    tokenizer = Pieces([chr(_FIRST_CHARACTER + i) for i in range(size)], CHARACTER, [end])
    used = config.steps * config.accumulation * config.batch * model.context
    length = max(2 * model.context, min(used, _MOST_TOKENS)) + 1
    drawn = np.random.default_rng(0).integers(size, size=length) + _FIRST_CHARACTER
    text = drawn.astype("<u4").tobytes().decode("utf-32-le")
    write_shards(folder, [text], tokenizer, end_of_text=tokenizer.special_tokens[end])
    shards = TokenShards(folder, tokenizer.fingerprint)
    windows = Windows(shards=shards, context=model.context, seed=config.seed)
    return Batches(samples=windows, batch=config.batch, documents=config.document_mask)


def _describe_step(
    config: Pretrain, model: Decoder | RecurrentLM, phases: dict[str, float]
) -> dict[str, Any]:
    phases = {name: phases[name] for name in ("data", "forward", "backward", "optimizer", REST)}
    seconds = sum(phases.values())
    sequences = config.batch * config.accumulation
    flops = sequences * training_flops(model, model.context)
    return {
        "compiled": config.compile,
        "seconds": seconds,
        "phases": phases,
        "tokens_per_second": sequences * model.context / seconds,
        "flops": flops,
        "flops_per_second": flops / seconds,
    }


def _profile_parts(
    config: Pretrain, model: Decoder | RecurrentLM, device: Device, repeats: int
) -> tuple[list[dict[str, Any]], dict[str, int | None]]:
    """The parts, with one micro-batch and without compilation, and the memory of that."""
    release_memory()
    before = _bytes_in_use(device)
    training = start_training(dataclasses.replace(config, compile=False), model, device)
    generator = torch.Generator().manual_seed(0)
    shape = (2, config.batch, model.context)
    tokens, targets = torch.randint(model.vocab_size, shape, generator=generator).to(device.device)
    documents = torch.zeros_like(tokens) if config.document_mask else None
    batch = MicroBatch(tokens, targets, documents)
    for _ in steps(training, [[batch]] * _WARM_UP, partial(_loss_of, config)):
        pass
    after = _bytes_in_use(device)

    loss_of = partial(_loss_of, config, batch=batch)
    flops = {part: config.batch * n for part, n in part_flops(model, model.context).items()}
    parts = profile_parts(training, loss_of, flops, repeats=repeats)
    grown = None if before is None or after is None else after - before
    return parts, {**bytes_by_kind(training, loss_of), "process": grown}


def _bytes_in_use(device: Device) -> int | None:
    """Of a GPU the most that tensors have taken so far; else what the process holds."""
    if device.device.type == "cuda":
        return torch.cuda.max_memory_allocated(device.device)
    return resident_bytes()
