"""A training while it goes on, drawn from its `metrics.jsonl` on a terminal."""

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from groundup.report.formats import duration, quantity

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60  # columns of a curve
_LATELY = 20  # steps that the figures of now are taken over


def dashboard(name: str, records: Sequence[dict[str, Any]], steps: int | None) -> RenderableType:
    """Curves and figures of one stage. records: as `core.metrics.read_metrics` gives them.

    steps: how many there will be, where that is known.
    """
    made = [record for record in records if record.get("loss") is not None]
    if not made:
        return Text(f"{name}: no step has been made yet.")
    last = made[-1]
    parts: list[RenderableType] = [_heading(name, last, steps)]
    if steps:
        bar = Table.grid()  # which ends the line
        bar.add_row(ProgressBar(total=steps, completed=last["step"], width=_WIDTH))
        parts.append(bar)
    curves = Table.grid(padding=(0, 2))
    for label, key in (
        ("loss", "loss"),
        ("bits per byte, held-out text", "validation_bits_per_byte"),
        ("gradient norm", "gradient_norm"),
    ):
        values = [record[key] for record in records if record.get(key) is not None]
        if values:
            span = f"{values[0]:.3f} → {values[-1]:.3f}"
            curves.add_row(label, sparkline(values), span)
    parts.append(curves)
    parts.append(_figures(made, steps))
    refused = [record for record in records if "incident" in record]
    parts += [
        Text(f"step {record['step']}: {record['incident']} ({record['action']})", style="red")
        for record in refused[-3:]
    ]
    return Group(*parts)


def sparkline(values: Sequence[float], width: int = _WIDTH) -> str:
    """A curve of at most `width` characters: means of equally long stretches, low to high.

    >>> sparkline([1, 2, 3, 4, 5, 6, 7, 8])
    '▁▂▃▄▅▆▇█'
    >>> sparkline([0, 0, 8, 8], width=2)
    '▁█'
    """
    count = min(width, len(values))
    borders = [index * len(values) // count for index in range(count + 1)]
    means = [statistics.mean(values[a:b]) for a, b in itertools.pairwise(borders)]
    low, high = min(means), max(means)
    span = high - low or 1.0
    return "".join(_BARS[round((mean - low) / span * (len(_BARS) - 1))] for mean in means)


def _heading(name: str, last: dict[str, Any], steps: int | None) -> Text:
    of = f" of {steps:,}" if steps else ""
    return Text(f"{name}: step {last['step']:,}{of}", style="bold")


def _figures(made: Sequence[dict[str, Any]], steps: int | None) -> Table:
    last, lately = made[-1], made[-_LATELY - 1 :]
    table = Table.grid(padding=(0, 2))
    taken = lately[-1]["seconds"] - lately[0]["seconds"]
    done = lately[-1]["step"] - lately[0]["step"]
    if taken > 0 and done:
        if "tokens" in last:
            rate = (lately[-1]["tokens"] - lately[0]["tokens"]) / taken
            table.add_row("tokens a second", quantity(rate))
        if steps:
            table.add_row("left", duration((steps - last["step"]) * taken / done))
    table.add_row("so far", duration(last["seconds"]))
    for label, key in (("tokens", "tokens"), ("learning rate", "lr")):
        if key in last:
            table.add_row(label, quantity(last[key]) if key == "tokens" else f"{last[key]:.3g}")
    return table
