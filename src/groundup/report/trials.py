"""What a comparison of trainings found, as a table and as plots. A result is a JSON value, as
`experiments.compare` returns it."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundup.report.formats import duration, quantity, visible
from groundup.report.plots import Level, Line, Spread, estimate_plot, line_plot
from groundup.report.svg_file import svg_file

_BITS = "bits per byte of held-out text, less is better"


def print_trials(result: dict[str, Any]) -> None:
    """A line for each variant, to standard output."""
    console = Console(highlight=False)
    console.print(_table(result))
    if result["seeds"] > 1:
        console.print(
            f"± is half the 95 % interval over {result['seeds']} seeds; differences are taken seed "
            "by seed."
        )
    else:
        console.print("One seed has no interval: give --seeds 3.")


def _table(result: dict[str, Any]) -> Table:
    title = f"Trained with {result['budget']} each"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    table.add_column("", overflow="fold")
    compared = any(row["difference"] for row in result["rows"])
    headings = ["bits per byte", *(["difference"] if compared else [])]
    for heading in (*headings, "weights", "tokens", "FLOPs", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in result["rows"]:
        difference = row["difference"]
        cells = [_figure(row["bits_per_byte"])]
        if compared:
            cells.append(_figure(difference, sign=True) if difference else "")
        table.add_row(
            Text(visible(row["name"])),
            *cells,
            quantity(row["parameters"]),
            quantity(row["tokens"]),
            quantity(row["flops"]) if row["flops"] else "none",
            duration(row["seconds"]),
        )
    return table


def _figure(value: dict[str, float | None], *, sign: bool = False) -> str:
    mean, half_width = value["mean"], value["half_width"]
    figure = f"{mean:+.3f}" if sign else f"{mean:.3f}"
    return figure if half_width is None else f"{figure} ± {half_width:.3f}"


def trials_svg(result: dict[str, Any]) -> str:
    """The file of a plot of every variant with its interval."""
    spreads = [
        Spread(
            label=visible(row["name"]),
            values=row["seeds"],
            mean=row["bits_per_byte"]["mean"],
            half_width=row["bits_per_byte"]["half_width"],
        )
        for row in result["rows"]
    ]
    said = "; ".join(f"{spread.label} {spread.mean:.3f}" for spread in spreads)
    svg = estimate_plot("trials", spreads, x=_BITS)
    return svg_file("trials", svg, f"Bits per byte of held-out text: {said}.")


def training_svg(result: dict[str, Any]) -> str:
    """The file of a plot of bits per byte of held-out text against the tokens of one training."""
    share = result["tokens"] / result["flops"]
    points = [(point["flops"] * share, point["bits_per_byte"]) for point in result["curve"]]
    line = Line(points=points, dots=True)
    svg = line_plot("training", [line], x="tokens", y=_BITS)
    said = f"Bits per byte of held-out text against tokens; at last {points[-1][1]:.3f}."
    return svg_file("training", svg, said)


def curves_svg(result: dict[str, Any], *, against: str) -> str:
    """The file of a plot of bits per byte against "flops" or "seconds" while models train. What
    multiplies no matrices stands beside time as a line of its own, and beside FLOPs as a level, the
    best alone. Curves and these are measured on the documents of the validations, the table's
    figures on more. The axis ends a little above the worst of what they came to."""
    rows = result["rows"]
    lines = [
        Line(
            label=visible(row["name"]),
            points=[(point[against], point["bits_per_byte"]) for point in row["curve"]],
        )
        for row in rows
        if row["curve"]
    ]
    last = [
        row["curve"][-1]["bits_per_byte"] if row["curve"] else row["validation"] for row in rows
    ]
    top = 1.1 * max(last)
    counted = [
        (row["seconds"], row["validation"], visible(row["name"]))
        for row in rows
        if not row["curve"]
    ]
    levels = []
    if counted and against == "seconds":
        label = f"{counted[0][2]} to {counted[-1][2]}"
        lines.append(Line(label=label, points=[point[:2] for point in counted], dots=True))
    elif counted:
        _, bits, label = min(counted, key=lambda point: point[1])
        levels = [Level(label=label, y=bits)]
    name = f"curves-{against}"
    axis = {"flops": "FLOPs", "seconds": "seconds"}[against]
    svg = line_plot(name, lines, x=axis, y=_BITS, levels=levels, log_x=True, top=top)
    said = "; ".join(f"{row['name']} {end:.3f}" for row, end in zip(rows, last, strict=True))
    return svg_file(name, svg, f"Bits per byte of held-out text against {axis}; at last {said}.")
