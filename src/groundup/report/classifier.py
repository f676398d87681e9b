"""What `groundup curate train-classifier` found, as tables and as plots.

A result is a JSON value: `held_out` is that of `curate.classify.report`, and `curve`, where a label
was asked for, that of `curate.classify.threshold`.
"""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundup.report.formats import percent, visible
from groundup.report.plots import Line, line_plot
from groundup.report.svg_file import svg_file

_MOST_LABELS = 12  # in a table of what is taken for what


def print_classifier(result: dict[str, Any]) -> None:
    """To standard output."""
    console = Console(highlight=False)
    report = result["held_out"]
    console.print(_classes(report))
    labels = [row["label"] for row in report["classes"]]
    if len(labels) <= _MOST_LABELS:
        console.print(_confusion(labels, report["confusion"]))
    console.print(
        f"Of the texts that were held out {percent(report['accuracy'])} are right. "
        f"Probabilities are off by {percent(report['calibration_error'])} on average.",
        soft_wrap=True,
    )
    if chosen := result["threshold"]:
        console.print(_thresholds(result["curve"]))
        console.print(
            f"A threshold for {chosen['for']}: {chosen['at']:.3g}. Of what reaches it, "
            f"{percent(chosen['precision'])} is {visible(chosen['label'])!r}, and of what is, "
            f"{percent(chosen['recall'])} reaches it.",
            markup=False,
            soft_wrap=True,
        )


def calibration_svg(result: dict[str, Any]) -> str:
    """The file of a plot: how many are right of those that are said to be so sure."""
    curve = result["curve"]
    found = curve or result["held_out"]
    what, right = "the label that was chosen", "right"
    if curve:
        what = right = repr(visible(curve["label"]))
    points = [(probability, share) for _, _, _, probability, share in found["reliability"]]
    svg = line_plot(
        "calibration",
        [
            Line(points=points, label="measured", dots=True),
            Line(points=[(0, 0), (1, 1)], label="calibrated"),
        ],
        x=f"probability of {what}",
        y=f"texts that are {right}",
        percent=True,
    )
    error = percent(found["calibration_error"])
    return svg_file("calibration", svg, f"Probabilities are off by {error} on average.")


def thresholds_svg(result: dict[str, Any]) -> str:
    """The file of a plot of precision and recall against the threshold."""
    curve, chosen = result["curve"], result["threshold"]
    lines = [
        Line(points=list(zip(curve["thresholds"], curve[name], strict=True)), label=name)
        for name in ("precision", "recall")
    ]
    x = f"least probability of {visible(curve['label'])!r}"
    svg = line_plot("thresholds", lines, x=x, y="of texts held out", percent=True, from_zero=True)
    said = (
        f"At {chosen['at']:.3g} a precision of {percent(chosen['precision'])} and a recall of "
        f"{percent(chosen['recall'])}."
    )
    return svg_file("thresholds", svg, said)


def _classes(report: dict[str, Any]) -> Table:
    table = Table(title="On texts that were held out", title_justify="left")
    table.add_column("label", overflow="fold")
    for column in ("texts", "precision", "recall", "F1"):
        table.add_column(column, justify="right")
    for row in report["classes"]:
        shares = (percent(row[name]) for name in ("precision", "recall"))
        table.add_row(Text(visible(row["label"])), f"{row['texts']:,}", *shares, f"{row['f1']:.3f}")
    return table


def _confusion(labels: list[str], confusion: list[list[int]]) -> Table:
    table = Table(title="What is taken for what", title_justify="left")
    table.add_column("is", overflow="fold")
    for label in labels:
        table.add_column(Text(visible(label)), justify="right")
    for label, row in zip(labels, confusion, strict=True):
        table.add_row(Text(visible(label)), *(f"{count:,}" for count in row))
    return table


def _thresholds(curve: dict[str, Any]) -> Table:
    table = Table(title=Text(f"Thresholds for {visible(curve['label'])!r}"), title_justify="left")
    for column in ("at least", "precision", "recall"):
        table.add_column(column, justify="right")
    for mark, precision, recall in curve["marks"]:
        table.add_row(f"{mark:g}", percent(precision), percent(recall))
    return table
