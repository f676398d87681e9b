"""`summary.json`: what a run did, gathered from the manifests of its stages.

Nothing is computed here that is not on the disk, so a summary can be made again at any time.
"""

import json
import statistics
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from groundup.core.files import read_json
from groundup.core.manifest import MANIFEST

_SAMPLES = 3
_STAGES = ("base", "sft", "grpo")


def summarize(run: Path) -> dict[str, Any]:
    """The summary of a run whose stages are finished."""
    config = read_json(run / "config.json")
    plan = config["plan"]
    stages = dict(_stages(run, plan))
    evaluations = {
        path.parent.name: read_json(path)["facts"]
        for path in sorted((run / "evals").glob(f"*/{MANIFEST}"))
    }
    seeds = [
        {"seed": int(name.removeprefix("grpo-seed-")), **facts}
        for name, facts in evaluations.items()
        if name.startswith("grpo-seed-")
    ]
    bits = {stage: evaluations[stage]["bits_per_byte"] for stage in _STAGES if stage in evaluations}
    scores = {stage: evaluations.get(stage, {}).get("score") for stage in _STAGES}
    if seeds:
        bits["grpo"] = statistics.mean(seed["bits_per_byte"] for seed in seeds)
        scores["grpo"] = statistics.mean(seed["score"] for seed in seeds)
    corpus = stages["corpus"]["facts"]
    return {
        "run": str(run),
        "budget": config["budget"],
        "seconds": sum(stage["seconds"] for stage in stages.values()),
        "peak_memory_bytes": max(stage["facts"]["peak_memory_bytes"] for stage in stages.values()),
        "stages": stages,
        "machine": read_json(run / "machine.json"),
        "corpus": {key: corpus.get(key) for key in ("source", "licence", "funnel")},
        "tokenizer": _tokenizer(stages),
        "validation_bits_per_byte": bits["base"],
        "bits_per_byte": bits,
        "gzip_bits_per_byte": evaluations["base"]["gzip_bits_per_byte"],
        "xz_bits_per_byte": evaluations["base"]["xz_bits_per_byte"],
        "verifier": {**scores, "dpo": None},
        "verifier_details": {
            stage: {key: facts[key] for key in ("n", "passed", "interval")}
            for stage, facts in evaluations.items()
            if "score" in facts
        },
        "grpo_seeds": seeds,
        "samples": _samples(run, evaluations),
        "utilisation": _utilisation(plan),
        "skipped": _skipped(config),
    }


def _stages(run: Path, plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each finished stage with what it cost and what was planned, in the order they finished; and
    the measurements for the plan, which pretraining follows."""
    planned = {stage["stage"]: stage for stage in plan["stages"]}
    seeds = len(list(run.glob("grpo-seed-*")))
    manifests = [*run.glob(f"*/{MANIFEST}"), *run.glob(f"*/*/{MANIFEST}")]
    for path in sorted(manifests, key=lambda path: path.stat().st_mtime_ns):
        name = path.parent.relative_to(run).as_posix()
        facts = read_json(path)["facts"]
        if "seconds" not in facts or "peak_memory_bytes" not in facts:
            continue  # a model inside a stage's folder
        if name == "pretrain" and plan.get("seconds") is not None:
            yield "plan", _unplanned(plan["seconds"])
        kind, share = ("grpo", seeds) if name.startswith("grpo") else (name, 1)
        expected = planned.get(kind, {})
        yield (
            name,
            {
                "seconds": facts["seconds"],
                "predicted_seconds": _part(expected.get("seconds"), share),
                "flops": _part(expected.get("flops"), share),
                "facts": facts,
            },
        )


def _unplanned(seconds: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "predicted_seconds": None,
        "flops": None,
        "facts": {"seconds": seconds, "peak_memory_bytes": 0},
    }


def _part(whole: float | None, parts: int) -> float | None:
    return None if whole is None else whole / parts


def _tokenizer(stages: dict[str, Any]) -> dict[str, Any]:
    facts = stages["tokenizer"]["facts"]
    shards = stages["shards/validation"]["facts"]
    return {**facts, "bytes_per_token": shards["bytes"] / shards["tokens"]}


def _samples(run: Path, evaluations: dict[str, Any]) -> list[dict[str, str]]:
    """The first few held-out prompts with what each stage made of them."""
    names = {"base": "base", "sft": "sft", "grpo-seed-0": "grpo"}
    samples: dict[str, dict[str, str]] = {}
    for name, stage in names.items():
        if name not in evaluations:
            continue
        with open(run / "evals" / name / "completions.jsonl", encoding="utf-8") as lines:
            for record in map(json.loads, islice(lines, _SAMPLES)):
                sample = samples.setdefault(record["prompt"], {"prompt": record["prompt"]})
                sample[stage] = record["completion"]
    return list(samples.values())


def _utilisation(plan: dict[str, Any]) -> dict[str, float] | None:
    """The measured rate of a training step against the machine's matrix rate."""
    probe = plan["probe"]
    if probe is None:
        return None
    achieved, peak = probe["flops_per_second"], probe["peak_flops_per_second"]
    return {
        "achieved_flops_per_second": achieved,
        "peak_flops_per_second": peak,
        "share": achieved / peak,
    }


def _skipped(config: dict[str, Any]) -> dict[str, str]:
    """Stages that the run left out, each with the reason."""
    skipped = {}
    if config["plan"]["sft"] is None:
        skipped["sft"] = "no examples were given (--chat FILE)"
    if config["plan"]["grpo"] is None:
        skipped["grpo"] = "no examples and verifier were given (--chat FILE, --verifier M:F)"
    return skipped
