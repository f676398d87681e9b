"""`groundup bench models`."""

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench models --quick
  groundup bench models --only Llama --only Mamba-2
  groundup bench models --json > models.json"""
)
@click.option("--only", multiple=True, metavar="FAMILY", help="A family alone; repeatable.")
@click.option("--quick", is_flag=True, help="Eager alone, which takes far less time.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(only: tuple[str, ...], quick: bool, as_json: bool) -> None:
    """A forward pass of each decoder beside that of transformers, eager and compiled.

    A minute or two a family, of which there are 13; --only measures some.
    """
    from groundup.bench.models import bench_models

    result = bench_models(only, quick=quick)
    tell(result, as_json)
