"""The form of every benchmark's result, as one JSON object and as a table."""

import platform
import statistics
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OURS = "groundup"
_BUSY_SHARE = 0.05  # of the processors, by others: above it timings are not to be trusted


def row(
    case: str, subject: str, metric: str, unit: str, values: Sequence[float], *, higher: bool
) -> dict[str, Any]:
    """One measurement: the median of `values`, and half their range as the spread."""
    return {
        "case": case,
        "subject": subject,
        "metric": metric,
        "unit": unit,
        "value": statistics.median(values),
        "spread": (max(values) - min(values)) / 2,
        "higher_is_better": higher,
    }


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine_is_idle(seconds: float = 0.5) -> bool | None:
    """Whether other processes leave the processors alone; None where that cannot be read."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    first = _busy_and_all(stat)
    time.sleep(seconds)
    busy, total = (b - a for a, b in zip(first, _busy_and_all(stat), strict=True))
    return busy <= _BUSY_SHARE * total


def _busy_and_all(stat: Path) -> tuple[int, int]:
    """Clock ticks since boot over all processors (proc(5), /proc/stat)."""
    ticks = [int(value) for value in stat.read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def print_result(result: dict[str, Any]) -> None:
    """The rows as a table, each with its ratio to ours, and the limits below it."""
    console = Console(highlight=False)
    table = Table(title=f"groundup bench {result['bench']}", title_justify="left")
    for column in ("case", "subject", "metric"):
        table.add_column(column)
    for column in ("value", "spread", "ours / this"):
        table.add_column(column, justify="right")
    ours = {(r["case"], r["metric"]): r["value"] for r in result["rows"] if r["subject"] == OURS}
    for r in result["rows"]:
        mine = ours.get((r["case"], r["metric"]))
        compared = mine is not None and r["value"] and r["subject"] != OURS
        ratio = f"{mine / r['value']:.2f}" if compared else ""
        unit = f" {r['unit']}" if r["unit"] else ""
        table.add_row(
            r["case"],
            r["subject"],
            r["metric"],
            f"{r['value']:,.4g}{unit}" if r["value"] < 1000 else f"{r['value']:,.0f}{unit}",
            f"±{r['spread']:,.3g}",
            ratio,
        )
    console.print(table)
    for limit in result["limits"]:
        console.print(f"limit: {limit['name']} {limit['value']:,.4g} {limit['unit']}")
    if result["idle"] is False:
        console.print("Other processes were busy while this was measured: do not quote it.")
