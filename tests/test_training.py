"""One model from documents: `groundup train`, from its recipe to a model that continues a text."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundup.core.config import apply_overrides
from groundup.core.errors import ConfigError
from groundup.core.files import sha256_file
from groundup.core.progress import make_console
from groundup.infer.load import load_run
from groundup.models import training_flops
from groundup.recipes.experiment import experiments
from groundup.training import run_training

SMALL = ["compile=no", "dtype=float32", "model.context=32", "model.width=32", "model.depth=1"]
SMALL += ["model.attention.heads=2", "model.attention.kv_heads=1", "model.attention.head_width=16"]
SMALL += ["model.mlp.hidden=48", "tokenizer.vocab_size=300", "pretrain.batch=2"]
SMALL += ["evaluation.stride=32", "evaluation.max_bytes=5000", "budget=1.2e8"]


def command(data: Path, runs: Path, *more: str) -> list[str]:
    changes = [word for setting in (*SMALL, *more) for word in ("--set", setting)]
    where = ["--data", str(data), "--runs", str(runs), "--name", "one"]
    return [sys.executable, "-m", "groundup", "train", "ablation", *where, *changes]


def test_a_model_is_trained_for_its_budget_and_can_be_used(documents: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*command(documents, tmp_path), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    model, tokenizer, _ = load_run(tmp_path / "one")
    assert tokenizer.vocab_size == model.config.vocab_size == 300
    step = 2 * training_flops(model.config, 32)
    assert 1.2e8 - step < result["flops"] <= 1.2e8
    assert result["steps"] == result["tokens"] / 64 == int(1.2e8 / step)
    assert result["parameters"] == model.parameter_count()
    assert 2 < result["bits_per_byte"] < 8
    assert (tmp_path / "one" / "curve.svg").read_text().startswith("<svg")

    weights = tmp_path / "one" / "pretrain" / "model" / "model.safetensors"
    made = weights.stat().st_mtime_ns
    saved = [sys.executable, "-m", "groundup", "train", str(tmp_path / "one" / "config.json")]
    again = subprocess.run(
        [*saved, "--runs", str(tmp_path), "--name", "one"], capture_output=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"{result['bits_per_byte']:.3f} bits per byte" in again.stdout.decode()
    assert weights.stat().st_mtime_ns == made


def test_other_settings_do_not_mix_in_one_folder(documents: Path, tmp_path: Path) -> None:
    base = apply_overrides(experiments()["ablation"], [*SMALL, f"data={documents}"])
    run_training(base, tmp_path / "one", make_console(quiet=True))
    other = apply_overrides(base, ["pretrain.clip=2"])
    with pytest.raises(ConfigError, match="made with another pretrain.clip"):
        run_training(other, tmp_path / "one", make_console(quiet=True))


def test_sigterm_saves_and_the_same_command_ends_with_the_same_bits(
    documents: Path, tmp_path: Path
) -> None:
    longer = ["budget=3e9", "pretrain.save_seconds=1e9"]  # some seconds of training
    process = subprocess.Popen(
        command(documents, tmp_path / "cut", *longer), stderr=subprocess.PIPE
    )
    metrics = tmp_path / "cut" / "one" / "pretrain" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    _, stderr = process.communicate()
    assert process.returncode == 143, stderr
    assert stderr.decode().splitlines()[-1] == (
        "groundup: terminated, and saved; run the same command again to go on."
    )
    assert list((metrics.parent / "checkpoints").glob("step-*/manifest.json"))
    for name in ("cut", "whole"):
        subprocess.run(
            command(documents, tmp_path / name, *longer), check=True, capture_output=True
        )
    cut, whole = (
        tmp_path / name / "one" / "pretrain" / "model" / "model.safetensors"
        for name in ("cut", "whole")
    )
    assert sha256_file(cut) == sha256_file(whole)
