"""GPT-2 in a plain loop with nanoGPT's settings: the peer of training benchmarks, in a process of
its own. The model and its optimizer are those of a checkout of nanoGPT, or else transformers' GPT-2
and torch's AdamW.

python -m groundup.bench.plain_loop '{"vocab_size": 65, …}'

It has what nanoGPT's script lacks on a processor: bfloat16 where that is multiplied, and memory
that stays in the process. Prints a line of JSON for each measurement.
"""

import importlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from groundup.core.device import Device, select_device, tune_cpu
from groundup.core.errors import InputError

Step = Callable[[Tensor, Tensor], None]

_RATE, _LEAST_RATE, _WARMUP = 1e-3, 1e-4, 100  # nanoGPT's for characters
_BETAS, _DECAY, _CLIP = (0.9, 0.99), 0.1, 1.0
_ROWS = 16  # windows of held-out text at a time


@dataclass(frozen=True, kw_only=True)
class PlainLoop:
    """checkout: of nanoGPT; None for transformers. batch: windows of `context` tokens a step.

    data: a folder with `train.npy`, the tokens; `held_out.npy`, those of held-out text after the
    end of another; and `bytes.json`, how many bytes that text has. Without it the tokens are random
    and only the time of a step is measured.
    seconds: of training, the evaluations not counted; the steps are as many as a measured one says.
    """

    vocab_size: int
    checkout: str | None = None
    width: int = 384
    depth: int = 6
    heads: int = 6
    context: int = 256
    batch: int = 16
    data: str | None = None
    seconds: float = 0.0
    points: int = 10
    seed: int = 0


def checkout_of_nanogpt(folder: Path) -> Path:
    """Its full path. Raises `InputError` where the folder is none."""
    folder = folder.resolve()
    if not (folder / "train.py").is_file() or not (folder / "model.py").is_file():
        raise InputError(f"{folder} is no checkout of nanoGPT: it has no train.py and model.py.")
    return folder


def measured(loop: PlainLoop) -> Iterator[dict[str, float]]:
    """What `run` yields in a process of its own. Raises `InputError` where that fails."""
    command = [sys.executable, "-m", "groundup.bench.plain_loop", json.dumps(asdict(loop))]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("{"):  # nanoGPT's model speaks, too
                    yield json.loads(line)
        if process.returncode:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["no output"])[-1]
            raise InputError(f"{loop.checkout or 'transformers'} failed: {last}.")


def run(loop: PlainLoop) -> Iterator[dict[str, float]]:
    """{"step_seconds": …}; with data then {"seconds": …, "bits_per_byte": …} after every part."""
    tune_cpu()
    device = select_device()
    generator = np.random.default_rng(loop.seed)
    tokens = (
        np.load(Path(loop.data) / "train.npy", mmap_mode="r")
        if loop.data
        else generator.integers(loop.vocab_size, size=200_000)
    )

    def batch() -> tuple[Tensor, Tensor]:
        starts = generator.integers(len(tokens) - loop.context, size=loop.batch)
        block = np.stack([tokens[start : start + loop.context + 1] for start in starts])
        block = torch.from_numpy(block.astype(np.int64)).to(device.device)
        return block[:, :-1].contiguous(), block[:, 1:].contiguous()

    step = _step(*_fresh(loop, device), device)
    step_seconds = statistics.median([_timed(step, *batch()) for _ in range(12)][4:])
    yield {"step_seconds": step_seconds}
    if not loop.data:
        return
    model, optimizer = _fresh(loop, device)
    step, steps = _step(model, optimizer, device), max(1, int(loop.seconds / step_seconds))
    seconds = 0.0
    for number in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _rate(number, steps)
        seconds += _timed(step, *batch())
        if (number + 1) * loop.points // steps > number * loop.points // steps:
            yield {"seconds": seconds, "bits_per_byte": _bits_per_byte(model, loop, device)}


def _fresh(loop: PlainLoop, device: Device) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(loop.seed)
    if loop.checkout:
        sys.path.insert(0, loop.checkout)
        theirs = importlib.import_module("model")
        shape = {"n_layer": loop.depth, "n_head": loop.heads, "n_embd": loop.width}
        config = theirs.GPTConfig(
            block_size=loop.context,
            vocab_size=loop.vocab_size,
            dropout=0.0,
            bias=False,
            **shape,
        )
        model = theirs.GPT(config).to(device.device)
        kind = device.device.type
        return model, model.configure_optimizers(_DECAY, _RATE, _BETAS, kind)
    theirs = importlib.import_module("transformers")
    shape = {"n_layer": loop.depth, "n_head": loop.heads, "n_embd": loop.width}
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    config = theirs.GPT2Config(
        n_positions=loop.context, vocab_size=loop.vocab_size, use_cache=False, **shape, **dropout
    )
    model = theirs.GPT2LMHeadModel(config).to(device.device)
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": _DECAY}, {"params": rest, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, lr=_RATE, betas=_BETAS, fused=True)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, device: Device) -> Step:
    def step(tokens: Tensor, targets: Tensor) -> None:
        with device.autocast():
            if _of_nanogpt(model):
                loss = model(tokens, targets)[1]
            else:
                loss = _losses(model, tokens, targets).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _losses(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """[B, T] → [B, T]. nanoGPT's model gives all logits only where it is given targets."""
    logits = model(tokens, targets)[0] if _of_nanogpt(model) else model(tokens).logits
    losses = nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), reduction="none"
    )
    return losses.view(targets.shape)


def _of_nanogpt(model: nn.Module) -> bool:
    return type(model).__module__ == "model"


def _timed(step: Step, tokens: Tensor, targets: Tensor) -> float:
    start = time.perf_counter()
    step(tokens, targets)
    if tokens.is_cuda:
        torch.cuda.synchronize(tokens.device)
    return time.perf_counter() - start


def _rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to the least."""
    warmup = min(_WARMUP, steps // 10)
    if step < warmup:
        return _RATE * (step + 1) / (warmup + 1)
    share = (step - warmup) / max(1, steps - warmup)
    return _LEAST_RATE + 0.5 * (1 + math.cos(math.pi * share)) * (_RATE - _LEAST_RATE)


@torch.no_grad()
def _bits_per_byte(model: nn.Module, loop: PlainLoop, device: Device) -> float:
    """As `groundup.train.bits_per_byte` counts them with windows that do not overlap."""
    assert loop.data
    stream = torch.from_numpy(np.load(Path(loop.data) / "held_out.npy").astype(np.int64))
    total = len(stream) - 1
    whole = total // loop.context * loop.context
    rows = [stream[: whole + 1].unfold(0, loop.context + 1, loop.context)]
    if whole < total:
        rows.append(stream[whole:][None])
    nats = 0.0
    model.eval()
    with device.autocast():
        for row in rows:
            for block in row.to(device.device).split(_ROWS):
                nats += float(_losses(model, block[:, :-1], block[:, 1:].contiguous()).sum())
    model.train()
    return nats / math.log(2) / json.loads((Path(loop.data) / "bytes.json").read_text())


if __name__ == "__main__":
    for line in run(PlainLoop(**json.loads(sys.argv[1]))):
        print(json.dumps(line), flush=True)
