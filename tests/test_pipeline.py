"""The main job on a small corpus: it finishes, skips what is done, and survives kill -9."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundup.align.pairs import extract_pairs
from groundup.core.files import sha256_file
from groundup.core.manifest import MANIFEST
from groundup.curate import Document
from groundup.report.formats import percent, quantity
from groundup.report.summary import summarize

VERIFIER = """
from groundup.verifiers.python_function import PythonFunction
verify = PythonFunction()
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, source_files: list[str]) -> Path:
    """A folder with documents, examples and a verifier, as a user would have them."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "documents").mkdir()
    for number, text in enumerate(source_files):
        (folder / "documents" / f"{number}.py").write_text(text, encoding="utf-8")
    documents = [Document(text, str(i), "test") for i, text in enumerate(source_files)]
    with open(folder / "examples.jsonl", "w") as file:
        for pair in extract_pairs(documents, undocumented=True):
            record = {"prompt": pair.prompt, "completion": pair.completion, **pair.problem}
            file.write(json.dumps(record) + "\n")
    (folder / "verifier.py").write_text(VERIFIER)
    return folder


def command(material: Path, runs: Path, name: str) -> list[str]:
    arguments = [
        *("--data", str(material / "documents")),
        *("--chat", str(material / "examples.jsonl")),
        *("--verifier", f"{material / 'verifier.py'}:verify"),
        *("--runs", str(runs), "--name", name, "--budget", "2e11", "--json", "--quiet"),
        *("--set", "tokenizer.vocab_size=512", "--set", "compile=no", "--set", "grpo_seeds=2"),
        *("--set", "plan.model.attention.shift=false"),  # so that it can be exported
        *("--set", "evaluation.prompts=8", "--set", "plan.grpo.max_tokens=16"),
        *("--set", "plan.pretrain.save_seconds=0", "--set", "plan.sft.save_seconds=0"),
        *("--set", "plan.grpo.save_seconds=0", "--set", "plan.grpo.steps=2"),
    ]
    return [sys.executable, "-m", "groundup", "quickstart", *arguments]


def weights(run: Path) -> dict[str, str]:
    paths = sorted(run.rglob("*.safetensors"))
    return {path.relative_to(run).as_posix(): sha256_file(path) for path in paths}


@pytest.fixture(scope="module")
def whole(material: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A run that nothing disturbed, and its summary."""
    runs = tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        command(material, runs, "whole"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return runs / "whole", json.loads(done.stdout)


def test_every_stage_is_finished_and_measured(whole: tuple[Path, dict]) -> None:
    run, summary = whole
    stages = ("corpus", "tokenizer", "shards/train", "pairs", "pretrain", "sft", "grpo-seed-1")
    for stage in stages:
        assert (run / stage / MANIFEST).exists(), stage
    assert (run / "DONE").exists()
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    assert 0 < summary["validation_bits_per_byte"] < 8
    assert set(summary["verifier"]) == {"base", "sft", "dpo", "grpo"}
    assert len(summary["grpo_seeds"]) == 2
    assert summary["samples"]
    assert summary["seconds"] > 0
    assert summary["peak_memory_bytes"] > 10_000_000


def test_what_was_measured_for_the_plan_counts(whole: tuple[Path, dict], tmp_path: Path) -> None:
    """The run had a budget in FLOPs, for which nothing is measured: its plan is given a time."""
    run, summary = whole
    assert "plan" not in summary["stages"]
    measured = shutil.copytree(run, tmp_path / "measured")
    config = json.loads((run / "config.json").read_text())
    config["plan"]["seconds"] = 12.5
    (measured / "config.json").write_text(json.dumps(config))
    again = summarize(measured)
    names = list(again["stages"])
    assert names.index("plan") == names.index("pretrain") - 1
    assert again["seconds"] == pytest.approx(summary["seconds"] + 12.5)
    assert again["peak_memory_bytes"] == summary["peak_memory_bytes"]


def test_a_run_is_exported_with_what_it_was_made_of(
    whole: tuple[Path, dict], tmp_path: Path
) -> None:
    """The model card, and the files that vLLM and `transformers` look for."""
    run, summary = whole
    out = tmp_path / "mine"
    arguments = ["export", str(run), "--out", str(out), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "groundup", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stage"] == "grpo"
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "generation_config.json", "model.safetensors", "README.md"),
        *("tokenizer.json", "tokenizer_config.json", "groundup.json"),
    }
    assert (
        "<|assistant|>" in json.loads((out / "tokenizer_config.json").read_text())["chat_template"]
    )
    assert json.loads((out / "groundup.json").read_text()) == json.loads(
        (run / "config.json").read_text()
    )
    card = (out / "README.md").read_text()
    corpus = summary["stages"]["corpus"]["facts"]
    facts = summary["stages"]["shards/train"]["facts"]
    for said in (
        "pipeline_tag: text-generation",
        f"| source | {corpus['source']} |",
        f"| licence | {corpus['licence'] or 'unknown'} |",
        f"`{corpus['fingerprint']}`",
        f"`{summary['stages']['tokenizer']['facts']['fingerprint']}`",
        f"{quantity(facts['tokens'])} tokens, {facts['documents']} documents",
        *(f"| {step['step']} | {step['documents']} |" for step in corpus["funnel"]),
        f"{quantity(sum(s['flops'] or 0 for s in summary['stages'].values()), 'FLOPs')} in all",
        *(f"| {stage} | " for stage in ("pretrain", "sft", "grpo-seed-0", "grpo-seed-1")),
        *(f"| {stage} | {bits:.3f} |" for stage, bits in summary["bits_per_byte"].items()),
        f"| gzip | {summary['gzip_bits_per_byte']:.3f} |",
        f" | {percent(summary['verifier']['grpo'])} |",
        "These weights are those of the stage **grpo**.",
        "groundup quickstart --config groundup.json --name again",
    ):
        assert said in card, said
    assert "imported" not in card


def test_a_finished_run_is_not_done_again(whole: tuple[Path, dict], material: Path) -> None:
    run, summary = whole
    before = {path: path.stat().st_mtime_ns for path in run.rglob(MANIFEST)}
    again = subprocess.run(
        command(material, run.parent, run.name), capture_output=True, text=True, check=True
    )
    assert json.loads(again.stdout) == summary
    assert {path: path.stat().st_mtime_ns for path in run.rglob(MANIFEST)} == before


def test_a_saved_config_runs_again_as_it_stands(whole: tuple[Path, dict], tmp_path: Path) -> None:
    run, summary = whole
    arguments = ["--config", str(run / "config.json"), "--runs", str(tmp_path), "--name", "again"]
    done = subprocess.run(
        [sys.executable, "-m", "groundup", "quickstart", *arguments, "--json", "--quiet"],
        capture_output=True,
        text=True,
        check=True,
    )
    repeated = json.loads(done.stdout)
    assert repeated["validation_bits_per_byte"] == summary["validation_bits_per_byte"]
    assert weights(tmp_path / "again") == weights(run)


def test_kill_9_at_random_moments_changes_no_bit(
    whole: tuple[Path, dict], material: Path, tmp_path: Path
) -> None:
    run, _ = whole
    chance = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            command(material, tmp_path, "cut"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(2.0, 4.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command(material, tmp_path, "cut"), capture_output=True, check=True)
    assert weights(tmp_path / "cut") == weights(run)


def test_other_settings_in_the_same_folder_are_refused(
    whole: tuple[Path, dict], material: Path
) -> None:
    run, _ = whole
    other = [*command(material, run.parent, run.name), "--seed", "5"]
    done = subprocess.run(other, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "was made with another seed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_stage_is_named(whole: tuple[Path, dict], material: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    subprocess.run(["cp", "-r", str(whole[0]), str(damaged)], check=True)
    path = damaged / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text() + " ")
    done = subprocess.run(
        command(material, tmp_path, "damaged"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "tokenizer.json does not match its checksum" in done.stderr


def test_without_examples_the_run_ends_after_pretraining(material: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(material / "documents"), "--budget", "1e11", "--json", "--quiet"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "groundup", "quickstart", "--runs", str(tmp_path), *arguments),
            *("--set", "tokenizer.vocab_size=512", "--set", "compile=no"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert set(summary["skipped"]) == {"sft", "grpo"}
    assert summary["verifier"] == {"base": None, "sft": None, "dpo": None, "grpo": None}
