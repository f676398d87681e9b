"""Training throughput: on a processor at nanoGPT's shape for characters, 6 layers of width 384,
16 × 256 tokens; on a GPU of a decoder of 124 M weights, as GPT-2's smallest, and of one of 1 B.

nanoGPT is run from a checkout that the user has: its own `train.py`, on a CPU in float32 as it
stands, plain and compiled; and its model in `plain_loop`, which has bfloat16. Without a checkout
the peer is transformers' GPT-2 in that loop. Ours does more work a step: its optimizer is Muon.
"""

import importlib.util
import pickle
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groundup.bench.plain_loop import PlainLoop, checkout_of_nanogpt, measured
from groundup.bench.result import OURS, machine_is_idle, row, versions
from groundup.core.device import Device, select_device, tune_cpu
from groundup.core.errors import InputError
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, DecoderModel
from groundup.optim import AdamW, ByRole, Muon
from groundup.train import Pretrain
from groundup.train.compile import worth_compiling
from groundup.train.probe import machine_description, peak_flops, probe_step

_CASE = "10.8 M parameters, 16 × 256 tokens"
_BATCH, _CONTEXT, _VOCAB = 16, 256, 65
_SMALL = Decoder(
    vocab_size=50_304,
    context=1024,
    width=768,
    depth=12,
    attention=GroupedQuery(heads=6, kv_heads=6, head_width=128),
    mlp=GLU(hidden=2048),
    tied=True,
)
_LARGE = Decoder(
    vocab_size=32_768,
    context=2048,
    width=2048,
    depth=16,
    attention=GroupedQuery(heads=16, kv_heads=16, head_width=128),
    mlp=GLU(hidden=5632),
)


def bench_train(nanogpt: Path | None, *, quick: bool) -> dict[str, Any]:
    """The result: tokens/s of ours and of its peers, one after the other, in rounds; on a GPU of
    ours alone.

    Raises `InputError` where the folder holds no nanoGPT or its script fails.
    """
    checkout = nanogpt and checkout_of_nanogpt(nanogpt)
    tune_cpu()
    device = select_device()
    if device.device.type == "cuda":
        if nanogpt is not None:
            raise InputError("--nanogpt is measured on a processor: leave it out on a GPU.")
        return _on_gpu(device, 4 if quick else 8)
    idle = machine_is_idle()
    rounds, steps = (1, 6) if quick else (3, 12)
    rates: dict[str, list[float]] = {}
    shares: list[float] = []
    peak = peak_flops(device)
    for _ in range(rounds):
        rate, share = _ours(device, steps, peak)
        rates.setdefault(OURS, []).append(rate)
        shares.append(share)
        for name, seconds in _peers(checkout, steps, quick=quick):
            rates.setdefault(name, []).append(_BATCH * _CONTEXT / seconds)
    rows = [
        row(_CASE, subject, "throughput", "tokens/s", values, higher=True)
        for subject, values in rates.items()
    ]
    rows.append(row(_CASE, OURS, "share of the matrix rate", "", shares, higher=True))
    return _result(device, rows, [peak], idle=idle)


def _result(
    device: Device, rows: list[dict[str, Any]], peaks: list[float], *, idle: bool | None
) -> dict[str, Any]:
    return {
        "bench": "train",
        "machine": machine_description(device),
        "versions": versions("groundup", "torch", "numpy", "transformers"),
        "idle": idle,
        "rows": rows,
        "limits": [
            {
                "name": f"matrix product in {str(device.compute_dtype).removeprefix('torch.')}",
                "value": statistics.median(peaks) / 1e9,
                "unit": "GFLOP/s",
            }
        ],
    }


def _on_gpu(device: Device, steps: int) -> dict[str, Any]:
    """Compiled, by AdamW, in steps of 131,072 tokens and of 32,768."""
    rows: list[dict[str, Any]] = []
    peaks: list[float] = []
    idle = machine_is_idle()
    optimizer = AdamW(lr=1e-3)
    for model, batch, accumulation in ((_SMALL, 32, 4), (_LARGE, 8, 2)):
        config = Pretrain(
            steps=steps,
            batch=batch,
            accumulation=accumulation,
            optimizer=ByRole(matrices=optimizer, embedding=optimizer, rest=optimizer),
            compile=True,
        )
        peaks.append(peak_flops(device))
        probe = probe_step(config, model, device, repeats=steps)
        with torch.device("meta"):
            weights = DecoderModel(model).parameter_count()
        case = f"{weights / 1e6:,.0f} M weights, {batch} × {accumulation} × {model.context} tokens"
        rate, share = probe.tokens_per_second, probe.flops_per_second / peaks[-1]
        rows.append(row(case, OURS, "throughput", "tokens/s", [rate], higher=True))
        rows.append(row(case, OURS, "share of the matrix rate", "", [share], higher=True))
    return _result(device, rows, peaks, idle=idle)


def _ours(device: Device, steps: int, peak: float) -> tuple[float, float]:
    """Tokens/s, and the useful FLOPs as a share of the measured matrix rate."""
    model = Decoder(
        vocab_size=_VOCAB,
        context=_CONTEXT,
        width=384,
        depth=6,
        attention=GroupedQuery(heads=6, kv_heads=6, head_width=64),
        mlp=GLU(hidden=1024),
    )
    config = Pretrain(
        steps=steps,
        batch=_BATCH,
        optimizer=ByRole(matrices=Muon(lr=0.02), embedding=AdamW(lr=0.09), rest=AdamW(lr=0.003)),
        compile=worth_compiling(model, device),
    )
    probe = probe_step(config, model, device, repeats=steps)
    return probe.tokens_per_second, probe.flops_per_second / peak


def _peers(nanogpt: Path | None, steps: int, *, quick: bool) -> Iterator[tuple[str, float]]:
    """(name, seconds a step) of each."""
    loop = PlainLoop(vocab_size=_VOCAB, batch=_BATCH, context=_CONTEXT)
    if nanogpt is not None:
        yield "nanoGPT's model, plain loop", _plain(replace(loop, checkout=str(nanogpt)))
        yield from _nanogpt(nanogpt, steps, quick=quick)
    elif importlib.util.find_spec("transformers"):
        yield "transformers' GPT-2, plain loop", _plain(loop)


def _plain(loop: PlainLoop) -> float:
    return next(line["step_seconds"] for line in measured(loop))


def _nanogpt(checkout: Path, steps: int, *, quick: bool) -> list[tuple[str, float]]:
    """(name, seconds a step) of each way to run its own script."""
    with tempfile.TemporaryDirectory() as folder:
        _write_characters(Path(folder))
        own = [
            "train.py",
            f"--dataset={folder}",
            f"--out_dir={folder}",
            "--device=cpu",
            "--n_layer=6",
            "--n_head=6",
            "--n_embd=384",
            f"--block_size={_CONTEXT}",
            f"--batch_size={_BATCH}",
            "--gradient_accumulation_steps=1",
            "--eval_iters=1",
            "--eval_interval=1000000",
            "--log_interval=1",
            f"--max_iters={steps}",
        ]
        ways = {"nanoGPT train.py": [*own, "--compile=False"]}
        if not quick:
            ways["nanoGPT train.py, compiled"] = [*own, "--compile=True"]
        return [(name, _step_seconds(arguments, checkout)) for name, arguments in ways.items()]


def _write_characters(folder: Path) -> None:
    """Random characters in nanoGPT's format: speed does not depend on which."""
    generator = np.random.default_rng(0)
    for name in ("train", "val"):
        generator.integers(_VOCAB, size=200_000, dtype=np.uint16).tofile(folder / f"{name}.bin")
    with open(folder / "meta.pkl", "wb") as file:  # nanoGPT reads its vocabulary's size from it
        pickle.dump({"vocab_size": _VOCAB}, file)


def _step_seconds(arguments: list[str], checkout: Path) -> float:
    """Median time of a step, from what the program prints, without the first three."""
    run = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, capture_output=True, text=True, check=False
    )
    times = [float(ms) / 1e3 for ms in re.findall(r"time ([\d.]+)ms", run.stdout)]
    if run.returncode != 0 or len(times) < 4:
        last = (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()[-1]
        raise InputError(f"nanoGPT in {checkout} failed: {last}.")
    return float(np.median(times[3:]))
