"""What a run directory holds, read once, for the report."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.core.errors import ArtifactError
from groundup.core.files import read_json
from groundup.core.metrics import read_metrics

STAGES = {"base": "Base", "sft": "Fine-tuned", "dpo": "DPO", "grpo": "GRPO"}

Metrics = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """name: of the run. config, summary: its `config.json` and `summary.json`.

    pretrain, sft: the stages' metrics, empty where the run has no such stage. grpo: by seed.
    """

    name: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    pretrain: Metrics
    sft: Metrics
    grpo: Mapping[int, Metrics]


def read_record(run: Path) -> RunRecord:
    """Raises `ArtifactError` where `run` holds no summary, or one that cannot be read."""
    if not (run / "summary.json").exists():
        raise ArtifactError(
            f"{run} holds no finished run (no summary.json): "
            "run its groundup quickstart command again to finish it."
        )
    return RunRecord(
        name=run.resolve().name,
        config=_read_object(run / "config.json"),
        summary=_read_object(run / "summary.json"),
        pretrain=read_metrics(run / "pretrain" / "metrics.jsonl"),
        sft=read_metrics(run / "sft" / "metrics.jsonl"),
        grpo=dict(sorted(_by_seed(run))),
    )


def _by_seed(run: Path) -> list[tuple[int, Metrics]]:
    return [
        (int(match[1]), read_metrics(folder / "metrics.jsonl"))
        for folder in run.glob("grpo-seed-*")
        if (match := re.fullmatch(r"grpo-seed-(\d+)", folder.name))
    ]


def _read_object(path: Path) -> Mapping[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} is not a JSON object: delete it and run its stage again.")
    return value
