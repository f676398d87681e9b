"""The end of a run, on the terminal: what each stage cost and gained, samples, and the report."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from groundup.report.formats import visible


def print_plan(console: Console, config: dict[str, Any]) -> None:
    """The table of what the budget decided, and why."""
    table = Table(title=f"The plan for a budget of {config['budget']}", title_justify="left")
    for column in ("choice", "value", "because"):
        table.add_column(column)
    for reason in config["plan"]["reasons"]:
        table.add_row(reason["choice"], reason["value"], reason["because"])
    console.print(table)


def print_summary(summary: dict[str, Any], run: Path) -> None:
    """Print to standard output; a model's output is text, never markup or a terminal's commands."""
    console = Console(highlight=False)
    console.print(_stages(summary))
    console.print(_scores(summary))
    for sample in summary["samples"]:
        console.print(_sample(sample))
    for stage, why in summary["skipped"].items():
        console.print(f"{stage} was left out: {why}.", markup=False)
    minutes, memory = summary["seconds"] / 60, summary["peak_memory_bytes"] / 1e9
    console.print(f"{minutes:.1f} minutes, {memory:.1f} GB of memory at the most.")
    console.print(f"The report: {run / 'report.html'}", markup=False, soft_wrap=True)
    console.print(f"Talk to it: groundup chat {run}", markup=False, soft_wrap=True)


def _stages(summary: dict[str, Any]) -> Table:
    table = Table(title="What each stage cost", title_justify="left")
    table.add_column("stage")
    for column in ("seconds", "planned", "share"):
        table.add_column(column, justify="right")
    for name, stage in summary["stages"].items():
        planned = stage["predicted_seconds"]
        table.add_row(
            name,
            f"{stage['seconds']:.1f}",
            "" if planned is None else f"{planned:.1f}",
            f"{stage['seconds'] / summary['seconds']:.0%}",
        )
    return table


def _scores(summary: dict[str, Any]) -> Table:
    table = Table(title="What each stage gained, on held-out text", title_justify="left")
    table.add_column("model")
    table.add_column("bits per byte", justify="right")
    table.add_column("passes the verifier", justify="right")
    for name in ("gzip", "xz"):
        table.add_row(f"{name} -9", f"{summary[f'{name}_bits_per_byte']:.3f}", "")
    for stage, bits in summary["bits_per_byte"].items():
        table.add_row(stage, f"{bits:.3f}", _score(summary, stage))
    return table


def _score(summary: dict[str, Any], stage: str) -> str:
    score = summary["verifier"].get(stage)
    if score is None:
        return ""
    if stage == "grpo":
        seeds = ", ".join(f"{seed['score']:.0%}" for seed in summary["grpo_seeds"])
        return f"{score:.0%} (seeds: {seeds})"
    low, high = summary["verifier_details"][stage]["interval"]
    return f"{score:.0%} ({low:.0%} to {high:.0%})"


def _sample(sample: dict[str, str]) -> Panel:
    text = Text()
    for stage in ("base", "sft", "grpo"):
        if stage in sample:
            text.append(f"{stage}\n", style="bold")
            text.append(visible(sample[stage].rstrip()) + "\n")
    return Panel(text, title=Text(visible(sample["prompt"])), title_align="left")
