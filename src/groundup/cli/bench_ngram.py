"""`groundup bench ngram`."""

from pathlib import Path

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench ngram --text corpus.txt --quick
  groundup bench ngram --text corpus.txt --json > ngram.json"""
)
@click.option(
    "--text",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="UTF-8 to train on (the first 15 MB) and to score (the megabyte after).",
)
@click.option("--quick", is_flag=True, help="A fifteenth of it: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(text: Path, quick: bool, as_json: bool) -> None:
    """Training a 5-gram and scoring with it, beside kenlm where it is installed."""
    from groundup.bench.ngram import bench_ngram

    result = bench_ngram(text, quick=quick)
    tell(result, as_json)
