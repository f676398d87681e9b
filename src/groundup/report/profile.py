"""A profile of a training step as tables and as plots. A result is a JSON value, as
`train.profile.profile_training` returns it."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from groundup.report.formats import percent, quantity
from groundup.report.plots import Line, Point, Stack, line_plot, stack_plot
from groundup.report.svg_file import svg_file

_WAYS = ("forward", "backward")


def print_profile(result: dict[str, Any]) -> None:
    """The step by phase, by part and by memory, to standard output, with how each was measured."""
    console = Console(highlight=False)
    step, peak = result["step"], result["peaks"]["flops_per_second"]
    console.print(
        f"A step takes {_milliseconds(step['seconds'])} ms: "
        f"{quantity(step['tokens_per_second'])} tokens/s. Model FLOPs utilisation is "
        f"{percent(step['share_of_peak'])}: {quantity(step['flops_per_second'], 'FLOP/s')} of "
        f"{quantity(peak, 'FLOP/s')}."
    )
    for table, key in (
        (_phases(step), "phases"),
        (_parts(result["parts"]), "parts"),
        (_memory(result["memory"]), "memory"),
    ):
        console.print(table)
        console.print(f"{result['how'][key]}\n", style="dim")
    console.print(result["how"]["peaks"], style="dim")
    if result["idle"] is False:
        console.print("Other processes were busy while this was measured: do not quote it.")


def roofline_svg(result: dict[str, Any]) -> str:
    """The file of a plot of each part's FLOP/s against its FLOPs a byte, below the roof of what the
    memory and the matrix units reach (Williams, Waterman and Patterson 2009)."""
    peak = result["peaks"]["flops_per_second"]
    bandwidth = result["peaks"]["bytes_per_second"]
    points = [
        Point(
            label=f"{part['part']} {way}",
            x=part["flops"][way] / part["bytes"][way],
            y=part["flops"][way] / part["seconds"][way],
        )
        for part in result["parts"]
        for way in _WAYS
        if part["flops"][way]
    ]
    ridge = peak / bandwidth
    ends = [ridge, *(point.x for point in points)]
    first, last = min(ends) / 8, max(ends) * 4
    roof = Line(
        points=[(first, first * bandwidth), (ridge, peak), (last, peak)], label="measured roof"
    )
    svg = line_plot(
        "roofline",
        [roof],
        x="FLOPs a byte",
        y="FLOP/s",
        points=points,
        log_x=True,
        log_y=True,
        top=1.4 * peak,
    )
    said = "; ".join(f"{point.label} {quantity(point.y, 'FLOP/s')}" for point in points)
    return svg_file(
        "roofline",
        svg,
        f"The matrix units reach {quantity(peak, 'FLOP/s')} and the memory "
        f"{quantity(bandwidth, 'B/s')}: {said}.",
    )


def time_svg(result: dict[str, Any]) -> str:
    """The file of a plot of the step's time by phase, and of both passes' time by part."""
    step = result["step"]
    compiled = "compiled" if step["compiled"] else "as it trains"
    wholes = [(f"step, {compiled}", step["phases"])]
    wholes += [(part["part"], part["seconds"]) for part in result["parts"]]
    stacks = [
        Stack(
            label=label,
            pieces={name: 1e3 * seconds for name, seconds in pieces.items()},
            said=f"{_milliseconds(sum(pieces.values()))} ms",
        )
        for label, pieces in wholes
    ]
    said = "; ".join(f"{stack.label} {stack.said}" for stack in stacks)
    return svg_file("time", stack_plot("time", stacks, x="milliseconds"), f"Time: {said}.")


def _phases(step: dict[str, Any]) -> Table:
    title = "By phase, compiled" if step["compiled"] else "By phase"
    table = _table(title, "", "ms", "share")
    for name, seconds in step["phases"].items():
        table.add_row(name, _milliseconds(seconds), percent(seconds / step["seconds"]))
    table.add_row("step", _milliseconds(step["seconds"]), percent(1), style="bold")
    return table


def _parts(parts: list[dict[str, Any]]) -> Table:
    table = _table("By part", "", "forward\nms", "backward\nms", "share")
    for heading in ("GFLOP", "GFLOP/s", "of the\npeak", "FLOPs\na byte"):
        table.add_column(heading, justify="right")
    for part in parts:
        table.add_row(
            part["part"],
            *(_milliseconds(part["seconds"][way]) for way in _WAYS),
            percent(part["share"]),
            *_counted(part),
        )
    return table


def _counted(part: dict[str, Any]) -> list[str]:
    """What follows from FLOPs; nothing for a part that multiplies no matrices."""
    flops = sum(part["flops"].values())
    if not flops:
        return []
    return [
        f"{flops / 1e9:.3g}",
        f"{part['flops_per_second'] / 1e9:.3g}",
        percent(part["share_of_peak"]),
        f"{flops / sum(part['bytes'].values()):.3g}",
    ]


def _memory(memory: dict[str, dict[str, int | None]]) -> Table:
    table = _table("By kind of memory", "", "predicted", "measured")
    measured = memory["measured"]
    for kind, size in memory["predicted"].items():
        table.add_row(kind, quantity(size or 0, "B"), quantity(measured[kind] or 0, "B"))
    total = sum(size or 0 for size in memory["predicted"].values())
    if (process := measured["process"]) is not None:
        table.add_row("all", quantity(total, "B"), quantity(process, "B"), style="bold")
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left")
    return table


def _milliseconds(seconds: float) -> str:
    """Three significant digits, or all of a number before its point."""
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
