"""What a budget of time teaches: our recipe and nanoGPT's on the same tokens, bits per byte of the
same held-out text against time.

Ours begins as a user's does, with a peak and a step to be measured and blocks to be compiled, and
all of that counts. The peer's step is measured beforehand. Evaluations count for neither.

A learning rate falls at the end of the time that was planned. Beside a peer ours is therefore
trained twice: for the peer's time, and for a third of it.
"""

import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from groundup.align.chat import END_OF_TEXT
from groundup.bench.plain_loop import PlainLoop, checkout_of_nanogpt, measured
from groundup.bench.result import OURS, machine_is_idle, row, versions
from groundup.checkpoint import load_model
from groundup.core.device import Device, select_device, tune_cpu
from groundup.core.errors import InputError
from groundup.core.metrics import read_metrics
from groundup.core.progress import make_console
from groundup.data.shards import TokenShards, write_shards
from groundup.models import Decoder, LanguageModel, RecurrentLM
from groundup.recipes.experiment import Experiment
from groundup.report.plots import Line, line_plot
from groundup.report.svg_file import svg_file
from groundup.scaling import plan_pretraining
from groundup.scaling.plan import ASSUMED_UTILISATION
from groundup.tokenizers import Tokenizer, train_bpe, train_pieces
from groundup.tokenizers.split import CHARACTER
from groundup.train import Pretrain, bits_per_byte, pretrain
from groundup.train.compile import worth_compiling
from groundup.train.micro_batches import few_micro_batches, free_memory
from groundup.train.probe import faster_step, machine_description, peak_flops, probe_step

_VOCAB = 4096
_HELD_OUT_BYTES = 150_000  # of each held-out document
_POINTS = 10  # of a curve

Curve = list[tuple[float, float]]  # seconds, bits per byte


@dataclass(frozen=True, kw_only=True)
class Text:
    """The same tokens for all, as shards and as files for the plain loop."""

    folder: Path
    tokenizer: Tokenizer
    train: TokenShards
    held_out: TokenShards

    @property
    def end(self) -> int:
        return self.tokenizer.special_tokens[END_OF_TEXT]


def bench_learn(
    text: Path,
    held_out: Sequence[str],
    *,
    seconds: float,
    characters: bool = False,
    recipe: Experiment | None = None,
    nanogpt: Path | None = None,
    seeds: int = 1,
    alone: bool = False,
) -> dict[str, Any]:
    """The result, with the curves.

    text: a file of UTF-8, whose last tenth is held out, or a folder of .txt files, of which those
    named in `held_out` are. characters: tokens are code points; otherwise a BPE is learned first.
    recipe: its model and pretraining; None lets the planner choose for the time. seeds: how often
    ours is trained. alone: without the peer, and ours for the whole time only. Raises `InputError`
    for a text that is not there, or is too short.
    """
    checkout = nanogpt and str(checkout_of_nanogpt(nanogpt))
    tune_cpu()
    device, idle = select_device(), machine_is_idle()
    trained, kept = _documents(text, held_out)
    console = make_console()
    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepare(Path(folder), trained, kept, characters)
        ours = {
            budget: [
                _announced(console, OURS, budget, _ours(recipe, prepared, budget, seed, device))
                for seed in range(seeds)
            ]
            for budget in ((seconds,) if alone else (seconds, seconds / 3))
        }
        peer = PlainLoop(
            vocab_size=prepared.tokenizer.vocab_size,
            checkout=checkout,
            data=folder,
            seconds=seconds,
            points=_POINTS,
        )
        small = replace(peer, width=128, depth=4, heads=4, context=64, batch=12)
        name = "nanoGPT" if nanogpt else "GPT-2, plain loop"
        theirs = {
            subject: [_announced(console, subject, seconds, _theirs(loop))]
            for loop in (() if alone else (peer, small))
            if (subject := f"{name}, {loop.depth} layers of {loop.width}")
        }
    best = min((curve for (curve,) in theirs.values()), key=lambda c: c[-1][1], default=None)
    curves, rows = {}, []
    for budget, trained_so_long in ours.items():
        case = f"{budget / 60:.3g} minutes, {len(prepared.train) / 1e6:.3g} M tokens of text"
        whole = budget == seconds
        curves[OURS if whole else f"{OURS}, a third of the time"] = trained_so_long
        subjects = {OURS: trained_so_long, **(theirs if whole else {})}
        rows += _rows(case, subjects, characters) + _until(case, trained_so_long, best)
    return {
        "bench": "learn",
        "machine": machine_description(device),
        "versions": versions("groundup", "torch", "transformers"),
        "idle": idle,
        "rows": rows,
        "limits": [],
        "curves": {**curves, **theirs},
    }


def learning_svg(result: dict[str, Any]) -> str:
    """The file of a plot of bits per byte against time; of ours the median seed."""
    curves = {
        name: sorted(curves, key=lambda curve: curve[-1][1])[len(curves) // 2]
        for name, curves in result["curves"].items()
    }
    lines = [Line(label=name, points=curve, dots=True) for name, curve in curves.items()]
    last = {name: curve[-1][1] for name, curve in curves.items()}
    y = "bits per byte of held-out text"
    svg = line_plot("learning", lines, x="seconds", y=y, top=1.3 * max(last.values()))
    said = "; ".join(f"{name} {bits:.3f}" for name, bits in last.items())
    return svg_file("learning", svg, f"{y.capitalize()} against seconds; at last {said}.")


def _documents(text: Path, held_out: Sequence[str]) -> tuple[list[str], list[str]]:
    """Documents to train on, and the beginnings of those that are held out."""
    try:
        if text.is_dir():
            documents = {path.name: path.read_text() for path in sorted(text.glob("*.txt"))}
            if absent := [name for name in held_out if name not in documents]:
                raise InputError(f"{text} has no {absent[0]} to hold out.")
            kept = [documents.pop(name) for name in held_out]
            trained = list(documents.values())
        else:
            whole = text.read_text()
            cut = len(whole) * 9 // 10
            trained, kept = [whole[:cut]], [whole[cut:]]
    except UnicodeDecodeError as error:
        raise InputError(f"{text} holds text that is not UTF-8 ({error.reason}).") from error
    kept = [document.encode()[:_HELD_OUT_BYTES].decode(errors="ignore") for document in kept]
    if not all(map(len, trained)) or not trained or not any(kept):
        raise InputError(f"{text} must hold text to train on, and --held-out files to measure.")
    return trained, kept


def _prepare(folder: Path, trained: list[str], kept: list[str], characters: bool) -> Text:
    special = [END_OF_TEXT]
    tokenizer: Tokenizer
    if characters:
        tokenizer = train_pieces(trained, pattern=CHARACTER, special_tokens=special)[0]
    else:
        tokenizer = train_bpe(trained, vocab_size=_VOCAB, special_tokens=special)
    end = tokenizer.special_tokens[END_OF_TEXT]
    shards = []
    for name, documents in (("train", trained), ("held_out", kept)):
        write_shards(folder / name, documents, tokenizer, end_of_text=end)
        shards.append(TokenShards(folder / name, tokenizer.fingerprint))
    train, held_out = shards
    np.save(folder / "train.npy", train.read(0, len(train)))
    np.save(folder / "held_out.npy", np.append(end, held_out.read(0, len(held_out))))
    (folder / "bytes.json").write_text(json.dumps(int(held_out.document_bytes.sum())))
    return Text(folder=folder, tokenizer=tokenizer, train=train, held_out=held_out)


def _ours(
    recipe: Experiment | None, text: Text, seconds: float, seed: int, device: Device
) -> Curve:
    torch.compiler.reset()  # what was compiled before is compiled again
    folder = Path(tempfile.mkdtemp(prefix="ours-", dir=text.folder))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "compiled")
    start = time.perf_counter()
    model, config = _plan(recipe, text, seconds, device)
    config = replace(
        config, seed=seed, validations=_POINTS, validation_documents=len(text.held_out)
    )
    if config.compile and (recipe is None or recipe.compile == "auto"):
        config, step, _ = faster_step(config, model, device, seconds)
    else:
        step = probe_step(config, model, device)
    before = time.perf_counter() - start
    steps = int((seconds - before) / step.step_seconds)
    if steps < 1:
        raise InputError(
            f"{seconds:.0f} seconds are too few: {before:.0f} went into compiling and measuring."
        )
    pretrain(
        replace(config, steps=steps),
        model,
        text.train,
        text.held_out,
        folder,
        end_of_text=text.end,
        device=device,
        console=make_console(),
    )
    trained = load_model(folder / "model")
    assert isinstance(trained, LanguageModel)
    last = bits_per_byte(trained.to(device.device), text.held_out, device, end_of_text=text.end)
    return _curve(folder / "metrics.jsonl", before, last)


def _plan(
    recipe: Experiment | None, text: Text, seconds: float, device: Device
) -> tuple[Decoder | RecurrentLM, Pretrain]:
    """Model and training; `compile` says that it may be worth it."""
    vocab_size = text.tokenizer.vocab_size
    if recipe is not None:
        model = replace(recipe.model, vocab_size=vocab_size)
        compiles = {"auto": worth_compiling(model, device), "yes": True, "no": False}
        return model, replace(recipe.pretrain, compile=compiles[recipe.compile])
    plan = plan_pretraining(
        seconds * peak_flops(device) * ASSUMED_UTILISATION,
        vocab_size=vocab_size,
        unique_tokens=len(text.train),
        seed=0,
    )
    pretrain = replace(plan.pretrain, compile=worth_compiling(plan.model, device))
    return plan.model, few_micro_batches(pretrain, plan.model, device, free_memory(device))


def _curve(path: Path, before: float, last: float) -> Curve:
    """`before`: the seconds that went before the first step. Evaluations are left out."""
    points, seconds, mark = [], before, 0.0
    for record in read_metrics(path):
        if "validation_bits_per_byte" in record:
            points.append((seconds, record["validation_bits_per_byte"]))
        else:
            seconds += record["seconds"] - mark
        mark = record["seconds"]
    return [*points, (seconds, last)]


def _announced(console: Console, subject: str, budget: float, curve: Curve) -> Curve:
    seconds, bits = curve[-1]
    found = f"{bits:.3f} bits per byte after {seconds:.0f} seconds"
    console.print(f"{subject}, {budget / 60:.3g} minutes: {found}")
    return curve


def _theirs(loop: PlainLoop) -> Curve:
    return [(line["seconds"], line["bits_per_byte"]) for line in measured(loop) if len(line) == 2]


def _rows(case: str, curves: dict[str, list[Curve]], characters: bool) -> list[dict[str, Any]]:
    """Final values and times of each subject."""
    rows = []
    for name, repeated in curves.items():
        finals = [curve[-1][1] for curve in repeated]
        rows.append(row(case, name, "bits per byte", "", finals, higher=False))
        if characters:
            nats = [bits * float(np.log(2)) for bits in finals]
            rows.append(row(case, name, "nats per byte", "", nats, higher=False))
        times = [curve[-1][0] for curve in repeated]
        rows.append(row(case, name, "time", "s", times, higher=False))
    return rows


def _until(case: str, ours: list[Curve], theirs: Curve | None) -> list[dict[str, Any]]:
    """When ours reached what theirs came to; no rows where a seed did not, or without theirs."""
    if theirs is None:
        return []
    end, goal = theirs[-1]
    reached = [next((s for s, bits in curve if bits <= goal), None) for curve in ours]
    times = [second for second in reached if second is not None]
    if len(times) < len(ours):
        return []
    shares = [second / end for second in times]
    return [
        row(case, OURS, f"until {goal:.3f}", "s", times, higher=False),
        row(case, OURS, "share of its time", "", shares, higher=False),
    ]
