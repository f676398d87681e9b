"""`groundup bench curate`."""

from pathlib import Path

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench curate --data corpora --quick
  groundup bench curate --data corpora --json > curate.json"""
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="A folder with any of html-articles, text, hate-speech, langid, pii.",
)
@click.option("--quick", is_flag=True, help="A tenth of it: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(data: Path, quick: bool, as_json: bool) -> None:
    """Curation: main text of pages, MinHash, near-duplicates and classifiers, beside their
    peers; and masks for personal data."""
    from groundup.bench.curate import bench_curate

    result = bench_curate(data, quick=quick)
    tell(result, as_json)
