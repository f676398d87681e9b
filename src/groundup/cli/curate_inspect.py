"""`groundup curate inspect`."""

import json
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  groundup curate inspect runs/crawl
  groundup curate inspect runs/crawl --samples 20 --seed 1
  groundup curate inspect runs/crawl --json"""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--samples",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Documents that were kept, and of each rule that rejected some.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--json", "as_json", is_flag=True, help="Print what the page shows as JSON instead.")
def command(run: Path, samples: int, seed: int, as_json: bool) -> None:
    """Write a page that shows what a curation did, and print its path.

    It has what every step let pass, what the rules measured, and documents drawn by lot: kept,
    rejected with the reason, web pages beside their text, near-duplicates with what they change. A
    run that is not finished can be looked at, too.
    """
    from groundup.curate.inspection import inspect_curation
    from groundup.report.inspection import write_inspection

    inspection = inspect_curation(run, samples, seed)
    click.echo(json.dumps(inspection.facts()) if as_json else write_inspection(run, inspection))
