"""A fitted law, in the terminal and as a plot."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from groundup.core.errors import InputError
from groundup.report.formats import quantity
from groundup.report.plots import Line, line_plot
from groundup.report.svg_file import svg_file
from groundup.scaling.chinchilla import Fit, Law
from groundup.scaling.extrapolation import leave_largest_out
from groundup.scaling.isoflop import budgets_of
from groundup.scaling.lifetime import best_within
from groundup.scaling.points import Points

_PARAMETERS = ("E", "A", "B", "alpha", "beta")
_DRAWN = 7  # budgets, those with the most trainings
_PLANNED = {"weights": "parameters", "tokens": "tokens", "loss": "loss"}
_LETTERS = {"alpha": "α", "beta": "β"}


def fit_facts(
    points: Points, fit: Fit, budgets: Sequence[float], served_tokens: float
) -> dict[str, Any]:
    """As JSON holds it. budgets: FLOPs, for each of which the best training is said."""
    try:
        beyond = leave_largest_out(points)._asdict()
        beyond.pop("law")
    except InputError:
        beyond = None
    return {
        "trainings": len(points),
        "flagged": [reason for _, reason in points.flagged],
        "law": {name: _estimate(fit, lambda law, n=name: getattr(law, n)) for name in _PARAMETERS},
        "objective": fit.objective,
        "agreeing": fit.agreeing,
        "extrapolation": beyond,
        "plans": [_plan(fit, flops, served_tokens) for flops in budgets],
        "warnings": list(fit.warnings),
    }


def _plan(fit: Fit, flops: float, served_tokens: float) -> dict[str, Any]:
    def of(name: str) -> dict[str, Any]:
        return _estimate(fit, lambda law: getattr(best_within(law, flops, served_tokens), name))

    fields = ("parameters", "tokens", "loss")
    return {"flops": flops, "served_tokens": served_tokens, **{name: of(name) for name in fields}}


def _estimate(fit: Fit, of: Callable[[Law], float]) -> dict[str, Any]:
    return {"value": of(fit.law), "interval": fit.interval(of) if fit.samples else None}


def print_fit(facts: dict[str, Any]) -> None:
    """The law, what it is worth, and what it plans, to standard output."""
    console = Console(highlight=False)
    console.print(f"L(N, D) = E + A/N^α + B/D^β, of {facts['trainings']:,} trainings")
    table = _table("", "value", "95 % interval")
    for name, estimate in facts["law"].items():
        table.add_row(_LETTERS.get(name, name), *_figures(estimate, "{:.5g}".format))
    console.print(table)
    console.print(
        f"sum of Huber losses {facts['objective']:.6e}; found by {facts['agreeing']:.0%} of the "
        "starts that came near"
    )
    if beyond := facts["extrapolation"]:
        console.print(
            f"Fitted without the {beyond['predicted']} largest, it predicts them, up to "
            f"{beyond['reach']:.2g} times the compute, within {beyond['error']:.1%} in the mean "
            f"and {beyond['worst']:.1%} at the worst."
        )
    for plan in facts["plans"]:
        table = _table(f"{plan['flops']:.3g} FLOPs", "best", "95 % interval")
        for name, field in _PLANNED.items():
            written = "{:.3f}".format if field == "loss" else quantity
            table.add_row(name, *_figures(plan[field], written))
        console.print(table)
    for reason in dict.fromkeys(facts["flagged"]):
        console.print(f"left out: {facts['flagged'].count(reason):,}, as each {reason}.")
    for warning in facts["warnings"]:
        console.print(f"warning: {warning}.")


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _figures(estimate: dict[str, Any], written: Callable[[float], str]) -> tuple[str, str]:
    if estimate["interval"] is None:
        return written(estimate["value"]), ""
    low, high = estimate["interval"]
    return written(estimate["value"]), f"({written(low)} to {written(high)})"


def fit_svg(points: Points, fit: Fit) -> str:
    """An SVG: the losses of budgets' trainings over their size, with what the law says."""
    lines = []
    largest = sorted((part for part in budgets_of(points) if len(part) > 2), key=len)[-_DRAWN:]
    for part in sorted(largest, key=lambda part: part.flops.mean()):
        label = f"{part.flops.mean():.2g} FLOPs"
        own = sorted(zip(part.parameters.tolist(), part.loss.tolist(), strict=True))
        lines.append(Line(points=own, label=label, dots=True))
    frontier = []
    low, high = math.log(points.flops.min()), math.log(points.flops.max())
    for step in range(41):
        N, D = fit.law.best(math.exp(low + (high - low) * step / 40))
        frontier.append((N, float(fit.law.loss(N, D))))
    lines.append(Line(points=frontier, label="best, by the law"))
    plot = line_plot("fit", lines, x="weights", y="loss", log_x=True)
    return svg_file("fit", plot, "Losses of the trainings of each budget, and the best by the law")
