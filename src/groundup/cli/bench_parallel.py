"""`groundup bench parallel`."""

import os
from pathlib import Path

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench parallel --quick
  groundup bench parallel --plot exchanges.svg"""
)
@click.option("--quick", is_flag=True, help="Two processes and a smaller model: some seconds.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw exchanges over sizes: an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(quick: bool, plot: Path | None, as_json: bool) -> None:
    """Training steps of several processes beside PyTorch's, what they send, and how fast."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler's own lines are of no use here
    from groundup.bench.parallel import bench_parallel

    result = bench_parallel(quick=quick)
    if plot is not None:
        from groundup.bench.curves import plot_curves

        plot_curves(result, plot)
    tell(result, as_json)
