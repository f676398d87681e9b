"""What each step of a curation left, for the terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundup.report.formats import quantity, visible

_RULES = 4  # that are named of each step, those that rejected most


def print_funnel(funnel: list[dict[str, Any]], console: Console) -> None:
    """A line for each step. funnel: as the facts of a curation have it."""
    table = Table(box=SIMPLE_HEAD, padding=0)
    table.add_column("step", no_wrap=True)
    for heading in ("documents", "size", "dropped"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for row in funnel:
        dropped = sum(row["rejected"].values())
        table.add_row(
            Text(visible(row["step"])),
            f"{row['documents']:,}",
            quantity(row["bytes"], "B"),
            f"{dropped:,}" if dropped else "",
            Text(visible(_why(row))),
        )
    console.print(table)


def _why(row: dict[str, Any]) -> str:
    most = sorted(row["rejected"].items(), key=lambda item: -item[1])
    parts = [f"{rule}: {count:,}" for rule, count in most[:_RULES]]
    if len(most) > _RULES:
        parts.append(f"{len(most) - _RULES} more reasons")
    parts += [f"({name}: {count:,})" for name, count in row["counts"].items()]
    return ", ".join(parts)
