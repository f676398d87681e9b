"""The form of every benchmark's result, as one JSON object and as a table."""

import itertools
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

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


def rates_of(work: Callable[[], Any], amount: float, quick: bool) -> tuple[Any, list[float]]:
    """The result, and how much a second in each round."""
    rates, result = [], None
    for _ in range(1 if quick else 5):
        start = time.perf_counter()
        result = work()
        rates.append(amount / (time.perf_counter() - start))
    return result, rates


def announce(console: Console, r: dict[str, Any]) -> None:
    """A row, as soon as it has been measured: what long benchmarks show meanwhile."""
    line = f"  {r['case']}: {r['subject']}, {r['metric']} {_short(r['value'])} {r['unit']}"
    console.print(line.rstrip(), soft_wrap=True)


def print_result(result: dict[str, Any]) -> None:
    """A table a case: a line a subject, a column a metric; and the limits below."""
    console = Console(highlight=False)
    console.print(
        f"groundup bench {result['bench']}: the median, ± half the range, and how many times "
        "better groundup's is"
    )
    for case, rows in itertools.groupby(result["rows"], lambda r: r["case"]):
        console.print(_table(case, list(rows)))
    for limit in result["limits"]:
        console.print(f"limit: {limit['name']} {_short(limit['value'])} {limit['unit']}")
    if result["idle"] is False:
        console.print("Other processes were busy while this was measured: do not quote it.")


def _table(case: str, rows: Sequence[dict[str, Any]]) -> Table:
    subjects: dict[str, dict[str, dict[str, Any]]] = {}  # subject → heading → row
    for r in rows:
        heading = f"{r['metric']}, {r['unit']}" if r["unit"] else r["metric"]
        subjects.setdefault(r["subject"], {})[heading] = r
    headings = list(dict.fromkeys(name for measured in subjects.values() for name in measured))
    columns = ["", *(Column(heading, justify="right") for heading in headings)]
    table = Table(*columns, title=case, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    ours = subjects.get(OURS, {})
    for subject, measured in subjects.items():
        cells = [_cell(measured.get(name), ours.get(name)) for name in headings]
        table.add_row(subject, *cells)
    return table


def _cell(r: dict[str, Any] | None, ours: dict[str, Any] | None) -> str:
    if r is None:
        return ""
    cell = _short(r["value"])
    if (spread := r["value"] and r["spread"] / r["value"]) >= 0.005:
        cell += f" ±{spread:.0%}"
    if r is not ours and ours and ours["value"] and r["value"] and r["unit"]:
        ratio = ours["value"] / r["value"] if r["higher_is_better"] else r["value"] / ours["value"]
        cell += f" {ratio:.{2 if ratio < 10 else 0}f}×"
    return cell


def _short(value: float) -> str:
    """Three significant digits, or all of a number before its point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
