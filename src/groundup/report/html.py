"""`report.html`: a run as one page that needs no other file and no host.

Samples are what a model wrote, so they are untrusted text: the template escapes every value, and
the page's content security policy loads and runs nothing.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.core.files import write_text
from groundup.report import formats
from groundup.report.figures import alignment_plots, tokenizer_plot, training_plots
from groundup.report.record import STAGES, RunRecord, read_record
from groundup.report.templates import load_template


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One large figure and what it is to be read with."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of a stage. predicted: None for a stage that the plan does not cost."""

    stage: str
    spent: float
    predicted: float | None


def write_report(run: Path) -> Path:
    """Write `report.html` into a finished run's directory; returns its path.

    Raises `ArtifactError` where `run` holds no finished run.
    """
    page = render(read_record(run))
    path = run / "report.html"
    write_text(path, page)
    return path


def render(record: RunRecord) -> str:
    """The page. What a run lacks is left out of it; what a run skipped is said."""
    costs = stage_costs(record.summary)
    plan = record.config.get("plan") or {}
    return load_template("report.html").render(
        name=record.name,
        summary=record.summary,
        headlines=headlines(record.summary),
        costs=costs,
        longest=max((max(cost.spent, cost.predicted or 0) for cost in costs), default=0),
        reasons=plan.get("reasons") or [],
        training=training_plots(record),
        alignment=alignment_plots(record),
        token_lengths=tokenizer_plot(record),
        stages=STAGES,
        command=command(record),
    )


def headlines(summary: Mapping[str, Any]) -> list[Headline]:
    """What a reader wants to know first."""
    bits = Headline(
        label="Bits per byte, held-out text",
        value=f"{summary['validation_bits_per_byte']:.3f}",
        note=f"xz {summary['xz_bits_per_byte']:.3f}, gzip {summary['gzip_bits_per_byte']:.3f}",
    )
    time = Headline(
        label="Time",
        value=formats.duration(summary["seconds"]),
        note=f"budget {summary['budget']}",
    )
    memory = Headline(
        label="Peak memory", value=formats.quantity(summary["peak_memory_bytes"], "B")
    )
    optional = [_score(summary), _size(summary), _utilisation(summary)]
    return [bits, *(headline for headline in optional if headline), time, memory]


def stage_costs(summary: Mapping[str, Any]) -> list[Cost]:
    """Cost by kind of stage, in the order of the run: `evals/base` counts as evals."""
    spent: dict[str, float] = {}
    predicted: dict[str, float] = {}
    for name, stage in summary["stages"].items():
        kind = "grpo" if name.startswith("grpo-seed-") else name.partition("/")[0]
        spent[kind] = spent.get(kind, 0.0) + stage["seconds"]
        if stage.get("predicted_seconds") is not None:
            predicted[kind] = predicted.get(kind, 0.0) + stage["predicted_seconds"]
    return [Cost(stage=kind, spent=spent[kind], predicted=predicted.get(kind)) for kind in spent]


def command(record: RunRecord) -> str:
    """The command line that makes this run again, from its config."""
    words = ["groundup", "quickstart"]
    for option in ("data", "budget", "seed", "chat", "verifier"):
        if record.config.get(option) is not None:
            words += [f"--{option}", str(record.config[option])]
    return shlex.join([*words, "--name", record.name])


def _score(summary: Mapping[str, Any]) -> Headline | None:
    scores = summary.get("verifier") or {}
    measured = [(stage, scores[stage]) for stage in STAGES if scores.get(stage) is not None]
    if not measured:
        return None
    stage, best = measured[-1]
    before = ", ".join(f"{STAGES[s].lower()} {formats.percent(x)}" for s, x in measured[:-1])
    return Headline(
        label=f"Verifier's score after {STAGES[stage]}", value=formats.percent(best), note=before
    )


def _size(summary: Mapping[str, Any]) -> Headline | None:
    facts = summary["stages"].get("pretrain", {}).get("facts", {})
    if "parameters" not in facts:
        return None
    return Headline(
        label="Weights",
        value=formats.quantity(facts["parameters"]),
        note=f"{formats.quantity(facts['tokens'])} tokens seen" if "tokens" in facts else "",
    )


def _utilisation(summary: Mapping[str, Any]) -> Headline | None:
    utilisation = summary.get("utilisation")
    if not utilisation:
        return None
    achieved = formats.quantity(utilisation["achieved_flops_per_second"], "FLOP/s")
    peak = formats.quantity(utilisation["peak_flops_per_second"], "FLOP/s")
    return Headline(
        label="Of the measured matrix rate",
        value=formats.percent(utilisation["share"]),
        note=f"{achieved} of {peak}",
    )
