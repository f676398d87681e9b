"""`torchrun … -m groundup train`: the commands that a user gives, on two processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from groundup.checkpoint import load_model

_PATIENCE = 900  # seconds; other tests may have the processors meanwhile

TINY = [
    "--budget=3e10",
    "--set=tokenizer.vocab_size=300",
    "--set=model.depth=2",
    "--set=model.width=64",
    "--set=model.context=64",
    "--set=model.attention.heads=2",
    "--set=model.attention.kv_heads=1",
    "--set=model.attention.head_width=32",
    "--set=model.mlp.hidden=96",
    "--set=dtype=float32",
    "--set=pretrain.validations=2",
]


def command(documents: Path, runs: Path, name: str, *options: str, processes: int = 1) -> list[str]:
    launch = [sys.executable, "-m"]
    if processes > 1:
        rendezvous = ["--standalone", "--max-restarts", "1", "--monitor-interval", "0.2"]
        launch += ["torch.distributed.run", "--nproc-per-node", str(processes), *rendezvous, "-m"]
    data = [f"--data={documents}", f"--runs={runs}", f"--name={name}", "--json"]
    return [*launch, "groundup", "train", "ablation", *data, *TINY, *options]


def run(arguments: list[str]) -> dict[str, object]:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=_PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, done.stdout + done.stderr  # no process began once more
    return json.loads(done.stdout)


def weights(runs: Path, name: str) -> dict[str, torch.Tensor]:
    return dict(load_model(runs / name / "pretrain" / "model").state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--shard=nothing", "--shard=weights", "--pipeline=2"])
def test_two_processes_train_the_model_of_one(documents: Path, tmp_path: Path, option: str) -> None:
    alone = run(command(documents, tmp_path, "alone"))
    both = run(command(documents, tmp_path, "both", option, processes=2))
    assert both["bits_per_byte"] == pytest.approx(alone["bits_per_byte"], rel=1e-3)
    assert both["tokens"] == alone["tokens"]
    for name, weight in weights(tmp_path, "both").items():
        torch.testing.assert_close(weight, weights(tmp_path, "alone")[name], rtol=0.02, atol=0.02)


@pytest.mark.slow
def test_a_killed_process_stops_the_others_and_the_run_goes_on(
    documents: Path, tmp_path: Path
) -> None:
    options = ("--shard=optimizer", "--set=pretrain.save_seconds=0")
    whole = run(command(documents, tmp_path, "whole", *options, processes=2))
    arguments = command(documents, tmp_path, "killed", *options, processes=2)
    launcher = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    checkpoints = tmp_path / "killed" / "pretrain" / "checkpoints"
    deadline = time.monotonic() + _PATIENCE
    while not [*checkpoints.glob("step-0000000[3-9]")] and time.monotonic() < deadline:
        assert launcher.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    output, errors = launcher.communicate(timeout=_PATIENCE)
    assert launcher.returncode == 0, errors
    assert json.loads(output)["bits_per_byte"] == whole["bits_per_byte"]
    for name, weight in weights(tmp_path, "killed").items():
        assert torch.equal(weight, weights(tmp_path, "whole")[name]), name
