"""`groundup bench data`."""

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench data --quick
  groundup bench data --json > data.json"""
)
@click.option("--quick", is_flag=True, help="Few rounds, nothing compiled: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(quick: bool, as_json: bool) -> None:
    """Opening a billion tokens and reading batches of them, beside nanoGPT's way and torch's."""
    from groundup.bench.data import bench_data

    result = bench_data(quick=quick)
    tell(result, as_json)
