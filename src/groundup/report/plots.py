"""Plots as inline SVG that takes its colours and its font from the page it stands in.

One drawing serves light and dark: it is drawn in stand-in colours, which are then replaced by the
page's CSS variables. Labels stay text, so they can be selected and are set in the page's font. An
SVG drawn here names no host and holds no identifier that another one on the page could hold.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

_INK, _MUTED, _RULE = "#000001", "#000002", "#000003"
_SERIES = tuple(f"#0000{number}" for number in range(11, 20))
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _RULE: "var(--rule)",
    **{color: f"var(--series-{number})" for number, color in enumerate(_SERIES, start=1)},
}
_MARKERS = "sD^vPX"  # of single points
# Drawn narrow, so that the labels can be read where a phone scales it down to its width.
_WIDTH, _HEIGHT, _FONT = 420, 250, 12.5
_MOST_INSIDE = 4  # more series than that are named below the axes
_LEGEND_COLUMNS, _LEGEND_CHARACTERS = 3, 42  # of a row there, else it has a column less
_ROW_CHARACTERS = 22  # of a line of a row's label
_LEGEND: dict[str, Any] = {"handlelength": 1.2, "labelcolor": _INK}
_ROUND = [1, 2, 5, 10]  # ticks stand at these, times a power of ten
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": _FONT,
    "text.color": _INK,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _MUTED,
    "axes.labelsize": _FONT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.8,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": _FONT,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A curve. label: empty where there is only one. points: (x, y), marked where `dots`."""

    points: Sequence[tuple[float, float]]
    label: str = ""
    dots: bool = False


@dataclass(frozen=True, kw_only=True)
class Level:
    """A horizontal line to compare a curve with."""

    label: str
    y: float


@dataclass(frozen=True, kw_only=True)
class Point:
    """A single measurement beside a curve."""

    label: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A measured share with its confidence interval, all from 0 to 1. group: sets the colour."""

    label: str
    value: float
    low: float
    high: float
    group: int


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A quantity measured several times. half_width: of the mean's interval, None where there is
    none."""

    label: str
    values: Sequence[float]
    mean: float
    half_width: float | None


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Of a histogram: how many values from low to high are within the limits, and how many not."""

    low: float
    high: float
    within: int
    beyond: int


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A whole in pieces, by their names. said: the whole in figures."""

    label: str
    pieces: Mapping[str, float]
    said: str


def line_plot(
    name: str,
    lines: Sequence[Line],
    *,
    x: str,
    y: str,
    levels: Sequence[Level] = (),
    points: Sequence[Point] = (),
    from_zero: bool = False,
    percent: bool = False,
    log_x: bool = False,
    log_y: bool = False,
    top: float | None = None,
) -> Markup:
    """Curves over a common axis. name: unique in the page. x, y: labels of the axes.

    log_x, log_y: the axis is logarithmic. top: of the y axis, for curves that come from far above.
    """
    series = len(lines) + len(points)
    columns = _columns([item.label for item in (*lines, *points)])
    below = -(-series // columns) if series > _MOST_INSIDE else 0  # rows of the legend
    with rc_context(_style(name)):
        figure, axes = _axes(_HEIGHT + (120 + 18 * below if below else 0))
        for index, line in enumerate(lines):
            color = _SERIES[index % len(_SERIES)]
            xs, ys = zip(*line.points, strict=True)
            axes.plot(xs, ys, color=color, label=line.label, marker="o" if line.dots else "", ms=4)
        for level in levels:
            axes.axhline(level.y, color=_MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
            axes.annotate(
                level.label,
                (1, level.y),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                va="bottom",
            )
        for index, point in enumerate(points):
            color = _SERIES[(len(lines) + index) % len(_SERIES)]
            marker = _MARKERS[index % len(_MARKERS)]
            axes.plot(point.x, point.y, marker, color=color, label=point.label, ms=7)
        _label(axes, x, y)
        if log_y:
            axes.set_yscale("log")
            _logarithmic(axes.yaxis)
        if log_x:
            axes.set_xscale("log")
            _logarithmic(axes.xaxis)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=_ROUND))
        axes.xaxis.set_major_formatter(_tick)
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        if from_zero:
            axes.set_ylim(bottom=0)
        if top is not None:
            axes.set_ylim(top=top)
        if below:
            figure.legend(loc="outside lower center", ncols=columns, **_LEGEND)
        elif series > 1:
            axes.legend(**_LEGEND)
        return _inline(name, figure)


def bar_plot(name: str, bars: Sequence[tuple[str, float]], *, x: str, y: str) -> Markup:
    """One bar for each (label, height)."""
    with rc_context(_style(name)):
        figure, axes = _axes(_HEIGHT)
        labels, heights = zip(*bars, strict=True)
        axes.bar(labels, heights, color=_SERIES[0], width=0.8)
        _label(axes, x, y)
        axes.tick_params(axis="x", labelsize=_FONT - 2)
        return _inline(name, figure)


def histogram(
    name: str, bins: Sequence[Bin], *, y: str, limits: Sequence[float] = (), log_x: bool = False
) -> Markup:
    """A bar for each bin, in another colour what is beyond the limits, which are upright lines."""
    with rc_context(_style(name)):
        figure, axes = _axes(_HEIGHT - 60)
        lows, widths = [b.low for b in bins], [b.high - b.low for b in bins]
        within, beyond = [b.within for b in bins], [b.beyond for b in bins]
        axes.bar(lows, within, widths, align="edge", color=_SERIES[0])
        axes.bar(lows, beyond, widths, bottom=within, align="edge", color=_SERIES[1])
        for limit in limits:
            axes.axvline(limit, color=_MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
        _label(axes, "", y)
        if log_x:
            axes.set_xscale("log")
            _logarithmic(axes.xaxis)
            decades = math.log10(bins[-1].high / bins[0].low)
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
        axes.xaxis.set_major_formatter(_tick)
        return _inline(name, figure)


def interval_plot(name: str, intervals: Sequence[Interval], *, x: str) -> Markup:
    """A row for each interval, the first on top, with the value as a dot and in figures."""
    with rc_context(_style(name)):
        labels = [_folded(interval.label) for interval in intervals]
        figure, axes = _axes(60 + _rows_height(labels))
        for row, interval in enumerate(intervals):
            color = _SERIES[interval.group % len(_SERIES)]
            axes.plot((interval.low, interval.high), (row, row), color=color, linewidth=2)
            axes.plot(interval.value, row, "o", color=color, ms=7)
            _say_beside(axes, row, f"{interval.value:.1%}")
        _label_rows(axes, labels, x)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=_ROUND))
        return _inline(name, figure)


def estimate_plot(name: str, estimates: Sequence[Spread], *, x: str) -> Markup:
    """A row for each measurement, the first on top, with its repetitions as small dots and the mean
    in figures; a line down from the first mean, which the others are compared with."""
    with rc_context(_style(name)):
        labels = [_folded(spread.label) for spread in estimates]
        figure, axes = _axes(60 + _rows_height(labels))
        axes.axvline(estimates[0].mean, color=_MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
        for row, spread in enumerate(estimates):
            color = _SERIES[0 if row == 0 else 3]
            if spread.half_width is not None:
                ends = (spread.mean - spread.half_width, spread.mean + spread.half_width)
                axes.plot(ends, (row, row), color=color, linewidth=2)
            axes.plot(spread.values, [row] * len(spread.values), "o", color=color, ms=3.5)
            axes.plot(spread.mean, row, "D", color=color, ms=6)
            _say_beside(axes, row, f"{spread.mean:.3f}")
        _label_rows(axes, labels, x)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=_ROUND))
        return _inline(name, figure)


def stack_plot(name: str, stacks: Sequence[Stack], *, x: str) -> Markup:
    """A row for each whole, the first on top, its pieces side by side in the colours of their names
    and the whole in figures. The legend is above, as below it would lie on the label."""
    names = list(dict.fromkeys(piece for stack in stacks for piece in stack.pieces))
    columns = _columns(names)
    above = -(-len(names) // columns)  # rows of the legend
    with rc_context(_style(name)):
        labels = [_folded(stack.label) for stack in stacks]
        figure, axes = _axes(60 + _rows_height(labels) + 22 * above)
        for row, stack in enumerate(stacks):
            end = 0.0
            for piece, size in stack.pieces.items():
                color = _SERIES[names.index(piece) % len(_SERIES)]
                axes.barh(row, size, left=end, height=0.6, color=color)
                end += size
            _say_beside(axes, row, stack.said)
        _label_rows(axes, labels, x)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=_ROUND))
        axes.xaxis.set_major_formatter(_tick)
        handles = [Patch(color=_SERIES[i % len(_SERIES)], label=n) for i, n in enumerate(names)]
        figure.legend(handles=handles, loc="outside upper center", ncols=columns, **_LEGEND)
        return _inline(name, figure)


def _say_beside(axes: Axes, row: int, text: str) -> None:
    """To the right of the axes, at the height of a row."""
    axes.annotate(
        text,
        (1, row),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
    )


def _label_rows(axes: Axes, labels: Sequence[str], x: str) -> None:
    """A row for each label, the first on top. x: the label of the other axis."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    # in the middle of the figure: beside long labels the axes are narrower than their own
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.supxlabel(x, fontsize=_FONT, color=_MUTED)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelcolor=_INK)


def _folded(label: str) -> str:
    """The label on lines that leave room for the axes, where it can be parted: after `.`, `=`, `,`
    or a space, as in a setting's name."""
    lines = [""]
    for part in re.findall(r"[^.=, ]*[.=, ]*", label):
        if lines[-1] and len(lines[-1] + part.rstrip()) > _ROW_CHARACTERS:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _rows_height(labels: Sequence[str]) -> float:
    """Of rows that hold any of the labels."""
    lines = 1 + max((label.count("\n") for label in labels), default=0)
    return max(32, 17 * lines) * len(labels)


def _style(name: str) -> dict[Any, Any]:
    """The salt makes the identifiers inside an SVG repeatable, and its own."""
    return {**_STYLE, "svg.hashsalt": name}


def _axes(height: float) -> tuple[Figure, Axes]:
    """SVG units are points, 72 to the inch."""
    figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72, layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    return figure, axes


def _label(axes: Axes, x: str, y: str) -> None:
    """Units below and above the axes; on a narrow screen a label at the side costs too much."""
    axes.set_xlabel(x)
    axes.set_title(y, loc="left", fontsize=_FONT, color=_MUTED)
    axes.yaxis.set_major_formatter(_tick)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_ROUND))
    axes.grid(visible=False, axis="x")


def _columns(names: Sequence[str]) -> int:
    """Of a legend below the axes."""
    widest = sum(sorted(map(len, names))[-_LEGEND_COLUMNS:])
    return _LEGEND_COLUMNS - (widest > _LEGEND_CHARACTERS)


def _logarithmic(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(_tick)


def _tick(value: float, _position: float) -> str:
    """A decimal prefix from a thousand on; below it plain digits, for a rate of 0.02."""
    return EngFormatter(sep="")(value) if abs(value) >= 1000 else f"{value:g}"


def _inline(name: str, figure: Figure) -> Markup:
    """The drawing as an element of a page, described by the element `NAME-caption`."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    body = buffer.getvalue().partition("<svg")[2].partition(">")[2]
    body = re.sub(r"<style.*?</style>", "", body)  # it would apply to the whole page
    body = re.sub(r' id="[\w.]+_\d+"', "", body)  # of groups, which nothing refers to
    body = re.sub(r" font-family: [^;\"]*;", "", body)
    body = body.replace("xlink:href", "href")
    for color, variable in _VARIABLES.items():
        body = body.replace(color, variable)
    height = round(figure.get_figheight() * 72)
    opening = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{name}-caption">'
    return Markup(opening + body)
