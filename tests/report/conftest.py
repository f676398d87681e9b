"""Made-up run directories, as the main job leaves them. A test that changes one copies it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def hostile() -> str:
    """Text that tries to break out of its element, to reach a host, and to hide."""
    return "</pre><script>alert(1)</script><img src='http://example.org/x'>\x1b[2J\u202e\ud800&amp;"


@pytest.fixture(scope="session")
def aligned_run(tmp_path_factory: pytest.TempPathFactory, hostile: str) -> Path:
    """A run with every stage and two seeds of GRPO, whose samples try to break the page."""
    run = tmp_path_factory.mktemp("runs") / "aligned"
    summary = _summary(run)
    stages = ("sft", "grpo-seed-0", "grpo-seed-1", "evals/grpo-seed-0")
    summary["stages"] |= {name: _stage(20.0, 25.0) for name in stages}
    summary["bits_per_byte"] |= {"sft": 1.52, "grpo": 1.53}
    summary["verifier"] = {"base": 0.125, "sft": 0.5, "grpo": 0.75, "dpo": None}
    seeds = {
        "grpo-seed-0": {"n": 8, "passed": 6, "interval": [0.41, 0.93]},
        "grpo-seed-1": {"n": 8, "passed": 6, "interval": [0.41, 0.93]},
    }
    summary["verifier_details"] = {
        "base": {"n": 8, "passed": 1, "interval": [0.02, 0.47]},
        "sft": {"n": 8, "passed": 4, "interval": [0.22, 0.78]},
        **seeds,
    }
    summary["grpo_seeds"] = [
        {"seed": seed, "score": 0.75, **details} for seed, details in enumerate(seeds.values())
    ]
    summary["samples"] = [{"prompt": hostile, "base": hostile, "sft": hostile, "grpo": "return 1"}]
    _write_json(run / "summary.json", summary)
    _write_json(run / "config.json", _config())
    _write_pretraining(run)
    steps = [{"step": step, "loss": 2.0 - 0.1 * step} for step in range(1, 6)]
    _write_lines(run / "sft" / "metrics.jsonl", steps)
    for seed in range(2):
        updates = [{"step": step, "score": 0.1 * step, "kl": 0.01 * step} for step in range(1, 6)]
        _write_lines(run / f"grpo-seed-{seed}" / "metrics.jsonl", updates)
    return run


@pytest.fixture(scope="session")
def base_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ends after pretraining, with a budget in FLOPs: nothing was predicted in time."""
    run = tmp_path_factory.mktemp("runs") / "base"
    summary = _summary(run)
    summary |= {"budget": "1e15", "utilisation": None}
    summary["stages"]["pretrain"]["predicted_seconds"] = None
    summary["skipped"] = {"sft": "no examples were given", "grpo": "no verifier was given"}
    summary["tokenizer"]["token_lengths"] = {}
    _write_json(run / "summary.json", summary)
    _write_json(run / "config.json", _config() | {"data": "my documents/", "budget": "1e15"})
    _write_pretraining(run)
    return run


def _summary(run: Path) -> dict[str, Any]:
    return {
        "run": str(run),
        "budget": "9m",
        "seconds": 350.0,
        "peak_memory_bytes": 2_100_000_000,
        "stages": {
            "corpus": _stage(2.0),
            "shards/train": _stage(3.0),
            "shards/validation": _stage(0.5),
            "pretrain": _stage(300.0, 290.0, parameters=6_800_000, tokens=40_960),
            "evals/base": _stage(10.0),
        },
        "machine": {"processor": "A processor", "torch": "2.13.0", "threads": 2},
        "corpus": {
            "source": "stdlib",
            "licence": "PSF-2.0",
            "funnel": [{"step": "read", "documents": 1234, "bytes": 12_000_000, "rejected": {}}],
        },
        "tokenizer": {
            "vocab_size": 4096,
            "bytes_per_token": 3.61,
            "token_lengths": {"1": 256, "2": 900, "3": 800, "40": 2},
            "fingerprint": "abc123",
        },
        "validation_bits_per_byte": 1.412,
        "bits_per_byte": {"base": 1.412},
        "gzip_bits_per_byte": 1.958,
        "xz_bits_per_byte": 1.664,
        "verifier": {"base": None, "sft": None, "grpo": None, "dpo": None},
        "verifier_details": {},
        "grpo_seeds": [],
        "samples": [{"prompt": "import", "base": " os"}],
        "utilisation": {
            "achieved_flops_per_second": 5.0e11,
            "peak_flops_per_second": 2.0e12,
            "share": 0.25,
        },
        "skipped": {},
    }


def _config() -> dict[str, Any]:
    reason = {"choice": "model", "value": "6 layers", "because": "nearest to 6.8 M weights"}
    wanted = {"data": "stdlib", "budget": "9m", "seed": 0, "chat": None, "verifier": None}
    return {"type": "Quickstart", **wanted, "plan": {"reasons": [reason]}}


def _stage(seconds: float, predicted: float | None = None, **facts: int) -> dict[str, Any]:
    cost = {"seconds": seconds, "predicted_seconds": predicted, "flops": None}
    return {**cost, "facts": facts}


def _write_pretraining(run: Path) -> None:
    records = []
    for step in range(1, 11):
        position: dict[str, float] = {"step": step, "tokens": 4096 * step, "seconds": 0.5 * step}
        records.append({**position, "loss": 8.0 - 0.5 * step, "lr": 0.01, "gradient_norm": 1.0})
        if step == 5:
            records.append({**position, "validation_bits_per_byte": 1.9})
    _write_lines(run / "pretrain" / "metrics.jsonl", records)


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _write_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
