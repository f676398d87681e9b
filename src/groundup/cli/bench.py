"""`groundup bench`."""

import json
from pathlib import Path

import click


@click.group()
def command() -> None:
    """Measure this machine and groundup, side by side with its peers."""


@command.command(
    epilog="""\b
Examples:
  groundup bench train --quick
  groundup bench train --nanogpt ~/nanoGPT"""
)
@click.option(
    "--nanogpt",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A checkout of nanoGPT to measure beside ours.",
)
@click.option("--quick", is_flag=True, help="Fewer steps: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def train(nanogpt: Path | None, quick: bool, as_json: bool) -> None:
    """Training throughput at nanoGPT's shape: 10.8 M parameters, batches of 16 × 256 tokens."""
    from groundup.bench.result import print_result
    from groundup.bench.train import bench_train

    result = bench_train(nanogpt, quick=quick)
    if as_json:
        click.echo(json.dumps(result))
    else:
        print_result(result)
