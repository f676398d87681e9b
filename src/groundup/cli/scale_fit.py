"""`groundup scale fit`."""

import json
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  groundup scale fit trainings.csv --budget 1e19
  groundup scale fit trainings.jsonl --budget 1e19 --budget 1e20 --served 1e11 --plot fit.svg
  groundup scale fit figure.csv --column parameters="Model Size" --column flops="Training FLOP" \\
      --leave-out-worst 5 --budget 5.76e23"""
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=COLUMN",
    help="Which of the file's columns has parameters, tokens, flops or loss; repeatable.",
)
@click.option(
    "--leave-out-worst",
    "worst",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Trainings of the highest loss.",
)
@click.option("--budget", "budgets", multiple=True, type=float, help="FLOPs to plan; repeatable.")
@click.option(
    "--served",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Tokens that the model will read and write later, which the budget pays for, too.",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="For the intervals.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw points and law: an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    file: Path,
    columns: tuple[str, ...],
    worst: int,
    budgets: tuple[float, ...],
    served: float,
    resamples: int,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Fit L(N, D) = E + A/N^α + B/D^β to the trainings of FILE (.csv or .jsonl), with intervals.

    A training has a loss, and two of parameters (N), tokens (D) and flops (C = 6·N·D). How well the
    law predicts is measured on the largest fifth of the trainings, from the others.
    """
    import numpy as np

    from groundup.core.errors import InputError
    from groundup.core.files import write_text
    from groundup.report.scaling import fit_facts, fit_svg, print_fit
    from groundup.scaling.chinchilla import fit_law
    from groundup.scaling.points import COLUMNS, read_points

    names = {name: column for name, _, column in (one.partition("=") for one in columns)}
    if unknown := sorted(set(names) - set(COLUMNS)):
        raise InputError(f"--column {unknown[0]} is none of {', '.join(COLUMNS)}.")
    points = read_points(file, names)
    if worst:
        points = points.where(np.sort(np.argsort(points.loss, kind="stable")[:-worst]))
    fit = fit_law(points, resamples=resamples, seed=seed)
    facts = fit_facts(points, fit, budgets, served)
    if plot is not None:
        write_text(plot, fit_svg(points, fit))
    if as_json:
        click.echo(json.dumps(facts))
    else:
        print_fit(facts)
