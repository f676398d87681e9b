"""Rates over sizes, of `groundup bench kernels` and `groundup bench parallel`, as a drawing."""

import itertools
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from groundup.bench.result import OURS
from groundup.core.files import atomic_file

_OURS = "#0b7a70"
_THEIRS = ("#59626d", "#c77b30", "#4f7fb5", "#9a6aa8", "#a8a03a", "#b5546a")
_LIMIT: dict[str, Any] = {"color": "#20262c", "linestyle": (0, (4, 3)), "linewidth": 1}
_COLUMNS, _WIDTH, _HEIGHT = 2, 4.3, 2.6  # of panels; inches of each


def plot_curves(result: dict[str, Any], path: Path) -> None:
    """A panel for each operation of which several sizes were measured, a line for each subject, and
    the measured limit dashed; written as SVG."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        if row["metric"] == "rate" and "size" in row:
            panels.setdefault(row["operation"], []).append(row)
    panels = {name: rows for name, rows in panels.items() if len({r["size"] for r in rows}) > 1}
    limits = [limit["name"] for limit in result["limits"]]
    styles = _styles(panels, limits)
    handles = [Line2D([], [], label=name, **style) for name, style in styles.items()]
    handles.append(Line2D([], [], label=f"the limit: {' or '.join(limits)}", **_LIMIT))
    lines = -(-len(panels) // _COLUMNS)
    with rc_context({"svg.fonttype": "none", "font.size": 10}):
        size = (_COLUMNS * _WIDTH, lines * _HEIGHT + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        for place, (name, rows) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(lines, _COLUMNS, place)
            _draw(axes, name, rows, {**styles, **dict.fromkeys(limits, _LIMIT)})
        columns = 4 if len(handles) <= 4 else 3
        figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False)
        with atomic_file(path) as file:
            figure.savefig(file, format="svg", facecolor="white")


def _styles(
    panels: dict[str, list[dict[str, Any]]], limits: list[str]
) -> dict[str, dict[str, Any]]:
    """Of each subject's line, ours first."""
    subjects = dict.fromkeys(row["subject"] for rows in panels.values() for row in rows)
    peers = [name for name in subjects if name != OURS and name not in limits]
    colors = itertools.cycle(_THEIRS)
    dots = {"marker": "o", "markersize": 3.5}
    return {
        OURS: {"color": _OURS, "linewidth": 2.4, "zorder": 3, **dots},
        **{name: {"color": next(colors), **dots} for name in peers},
    }


def _draw(
    axes: Axes, name: str, rows: list[dict[str, Any]], styles: dict[str, dict[str, Any]]
) -> None:
    for subject, style in styles.items():
        points = sorted((row["size"], row["value"]) for row in rows if row["subject"] == subject)
        if points:
            axes.plot(*zip(*points, strict=True), **style)
    axes.set_title(name, loc="left", fontsize=9.5, fontweight="bold")
    axes.set_xlabel(rows[0]["axis"])
    axes.set_ylabel(rows[0]["unit"])
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=6))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda size, _: _binary(size))
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)


def _binary(size: float) -> str:
    """A power of two in units of 1024 and 1024²."""
    for prefix, unit in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size >= unit:
            return f"{size / unit:g} {prefix}"
    return f"{size:g}"
