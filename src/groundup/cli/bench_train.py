"""`groundup bench train`."""

from pathlib import Path

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench train --quick
  groundup bench train --nanogpt ~/nanoGPT"""
)
@click.option(
    "--nanogpt",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A checkout of nanoGPT to measure beside ours. Default: transformers' GPT-2.",
)
@click.option("--quick", is_flag=True, help="Fewer steps: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(nanogpt: Path | None, quick: bool, as_json: bool) -> None:
    """Training throughput at nanoGPT's shape: 10.8 M parameters, batches of 16 × 256 tokens.

    On a GPU instead that of decoders of 124 M and of 1 B weights, without a peer.
    """
    from groundup.bench.train import bench_train

    result = bench_train(nanogpt, quick=quick)
    tell(result, as_json)
