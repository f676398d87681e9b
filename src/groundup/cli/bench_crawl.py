"""`groundup bench crawl`."""

from pathlib import Path

import click


@click.command(
    epilog="""\b
Example:
  groundup bench crawl --text books/ --foreign languages/ --out made
  groundup curate run web --data made/crawl --name clean
  groundup ablate ablation --data made/raw.jsonl --vary data=runs/clean --seeds 5 \\
    --set curate.held_out=made/held-out.jsonl --set 'curate.steps=[]' --name curation"""
)
@click.option(
    "--text",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="A folder of .txt files in English, of which the articles are made.",
)
@click.option(
    "--foreign",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("langid"),
    help="A folder of LANGUAGE.sentences.txt. Default: langid, if it is there.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder to make.")
def command(text: Path, foreign: Path, out: Path) -> None:
    """Make a crawl around texts, to see what curation is worth: WARC files, what is visible on
    their pages, and texts that are held out."""
    from groundup.bench.crawl import write_crawl
    from groundup.core.errors import InputError

    if out.exists():
        raise InputError(f"{out} exists: choose another --out.")
    counts = write_crawl(text, foreign, out)
    click.echo(", ".join(f"{kind}: {count:,}" for kind, count in counts.items()))
