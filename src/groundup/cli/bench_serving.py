"""`groundup bench serving`."""

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench serving --quick
  groundup bench serving --json"""
)
@click.option("--quick", is_flag=True, help="Fewer tokens and requests: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(quick: bool, as_json: bool) -> None:
    """The server under load: beside the bare engine, 200 clients, thousands of requests."""
    from groundup.bench.serving import bench_serving

    result = bench_serving(quick=quick)
    tell(result, as_json)
