"""`groundup bench inference`."""

from pathlib import Path

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench inference --quick
  groundup bench inference --run runs/quickstart --json"""
)
@click.option(
    "--run",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A run whose model shows what eight bits a weight cost, and what guesses gain.",
)
@click.option("--quick", is_flag=True, help="Fewer tokens and requests: within two minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(run: Path | None, quick: bool, as_json: bool) -> None:
    """Generation with 97 M weights: alone, together, prompts, and requests that come one by one."""
    from groundup.bench.inference import bench_inference

    result = bench_inference(run, quick=quick)
    tell(result, as_json)
