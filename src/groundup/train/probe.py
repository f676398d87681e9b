"""What this machine can do, measured in seconds: its matrix rate, the rate of its memory, and the
time of a training step.

Utilisation is a share of a measured peak, never of a table's: an unknown device cannot report more
than it can do.
"""

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import torch
from torch import Tensor

from groundup.core.device import Device
from groundup.core.processes import ONE, Group
from groundup.models import Decoder, LanguageModel, RecurrentLM, training_flops
from groundup.parallel.parallelism import REPLICATED, Parallelism
from groundup.train.bits_per_byte import WINDOWS
from groundup.train.pretrain import MicroBatch, Pretrain, batch_loss, start_training
from groundup.train.step import steps

# Compiling took 17 to 45 s on two cores, for models that the compiled core does not fuse.
_WORTH_TRYING = 180.0  # seconds of training
_LONG_ENOUGH = 4.0  # seconds of steps
# A side of matrices, and bytes of a copy: what a processor does within milliseconds, and what a GPU
# takes far longer for than to be told of it.
_SIDE, _GPU_SIDE = 2048, 8192
_COPIED, _GPU_COPIED = 1 << 28, 1 << 31


@dataclass(frozen=True, kw_only=True)
class StepProbe:
    """setup_seconds: until the first step was done, compilation included. step_seconds: median."""

    setup_seconds: float
    step_seconds: float
    tokens_per_second: float
    flops_per_second: float


def peak_flops(device: Device, *, size: int | None = None, seconds: float = 1.0) -> float:
    """The best rate of a square matrix product in the compute format, in FLOP/s.

    The best of many, not the mean: it is the limit that a step is compared with.
    size: a side of the matrices; by default as large as keeps the device busy.
    """
    size = size or (_GPU_SIDE if device.device.type == "cuda" else _SIDE)
    a = torch.randn(size, size, device=device.device).to(device.compute_dtype)
    out = torch.empty_like(a)
    return 2 * size**3 / _shortest(lambda: torch.mm(a, a, out=out), device, seconds)


def peak_bandwidth(device: Device, *, size: int | None = None, seconds: float = 1.0) -> float:
    """The best rate of a copy, in bytes read and written a second.

    size: bytes of the source; larger than caches are, or it is their rate.
    """
    size = size or (_GPU_COPIED if device.device.type == "cuda" else _COPIED)
    source = torch.ones(size, dtype=torch.uint8, device=device.device)
    target = torch.zeros_like(source)
    return 2 * size / _shortest(lambda: target.copy_(source), device, seconds)


def _shortest(work: Callable[[], object], device: Device, seconds: float) -> float:
    """Seconds of the fastest of as many repetitions as the time allows, and of one at the least."""
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        work()
        wait(device)
        best = min(best, time.perf_counter() - start)
    return best


def probe_step(
    config: Pretrain,
    model: Decoder | RecurrentLM,
    device: Device,
    repeats: int | None = None,
    group: Group = ONE,
    parallelism: Parallelism = REPLICATED,
) -> StepProbe:
    """Time real training steps of the given shape, on random tokens. A group takes them together,
    and each of its processes needs to be told the same `repeats`.

    The median of `repeats` steps: one interruption by another process does not move it. By default
    they are as many as four seconds hold, but three at the least and eight at the most.
    """
    shape = (config.batch // parallelism.readers(group.size), model.context)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(model.vocab_size, shape, generator=generator).to(device.device)
    batch = MicroBatch(tokens, tokens, torch.zeros_like(tokens) if config.document_mask else None)

    def loss_of(network: LanguageModel, batch: MicroBatch) -> tuple[Tensor, dict[str, float]]:
        return batch_loss(config, network, batch)[0], {}

    start = last = time.perf_counter()
    training = start_training(config, model, device, group, parallelism)
    setup, times = 0.0, []
    for result in steps(training, repeat([batch] * config.accumulation), loss_of):
        wait(device)
        now = time.perf_counter()
        if result.step == 1:
            setup = now - start
        elif result.step > 2:  # the second step still fills the allocator
            times.append(now - last)
            enough = len(times) >= 3 and sum(times) >= _LONG_ENOUGH
            if len(times) == (repeats or 8) or (repeats is None and enough):
                break
        last = now
    seconds = group.mean(statistics.median(times))
    sequences = config.batch * config.accumulation
    return StepProbe(
        setup_seconds=setup,
        step_seconds=seconds,
        tokens_per_second=sequences * model.context / seconds,
        flops_per_second=sequences * training_flops(model, model.context) / seconds,
    )


def faster_step(
    config: Pretrain, model: Decoder | RecurrentLM, device: Device, seconds: float
) -> tuple[Pretrain, StepProbe, str]:
    """The training, compiled where that saves more time than compiling takes; its step, and why it
    is so.

    seconds: of training. With few of them compiling, which takes tens of seconds, is not tried.
    """
    plain = replace(config, compile=False)
    eager = probe_step(plain, model, device)
    if seconds < _WORTH_TRYING:
        return plain, eager, f"{seconds:.0f} s of training are too few to pay for compiling"
    whole = replace(config, compile=True)
    compiled = probe_step(whole, model, device)
    ratio = compiled.tokens_per_second / eager.tokens_per_second
    setup = compiled.setup_seconds
    why = f"measured: compiled it is {ratio:.2f} times as fast, after {setup:.0f} s"
    pays = seconds * (1 - 1 / ratio) > setup
    return (whole, compiled, why) if pays else (plain, eager, why)


@torch.no_grad()
def prediction_rate(model: Decoder | RecurrentLM, device: Device, repeats: int = 3) -> float:
    """Tokens a second that `bits_per_byte` reads, windows one beside the other: the median."""
    network = model.build(0).to(device.device).eval()
    tokens = torch.zeros(WINDOWS, model.context, dtype=torch.long, device=device.device)
    times = []
    with device.autocast():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            network.losses(tokens, tokens).sum().item()
            times.append(time.perf_counter() - start)
    return tokens.numel() / statistics.median(times[1:])


def machine_description(device: Device) -> dict[str, str | int]:
    """What a figure must be read with: processor, threads, format, versions."""
    return {
        "device": str(device.device),
        "processor": _processor(device),
        "threads": torch.get_num_threads(),
        "compute_dtype": str(device.compute_dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _processor(device: Device) -> str:
    if device.device.type == "cuda":
        return torch.cuda.get_device_name(device.device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def wait(device: Device) -> None:
    """Until the device has done what it was given."""
    if device.device.type == "cuda":
        torch.cuda.synchronize(device.device)
