"""`groundup bench optimizers`."""

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Example:
  groundup bench optimizers --quick"""
)
@click.option("--quick", is_flag=True, help="Fewer weights and steps: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(quick: bool, as_json: bool) -> None:
    """A step of each optimizer, beside torch's and beside what the memory allows."""
    from groundup.bench.optimizers import bench_optimizers

    result = bench_optimizers(quick=quick)
    tell(result, as_json)
