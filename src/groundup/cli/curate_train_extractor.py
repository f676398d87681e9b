"""`groundup curate train-extractor`."""

import json
import time
from pathlib import Path

import click

_FOLDS = 6


@click.command(
    short_help="Train what finds the main text of web pages, on some of yours.",
    epilog="""\b
Examples:
  groundup curate train-extractor marked/ --out news.safetensors
  groundup curate run web --data crawl/ --extractor news.safetensors""",
)
@click.argument("pages", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Such as trees=500, depth=6."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(pages: Path, out: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Train an extractor on the folder PAGES: each page as NAME.html or NAME.html.gz, with its main
    text in NAME.txt, paragraphs as lines.

    What it is worth is measured on pages that it has not seen: it is trained six times more, each
    time without a sixth of them.
    """
    from groundup.core.config import apply_overrides
    from groundup.core.progress import make_console, progress_bar
    from groundup.curate.extract import extractor_of
    from groundup.curate.extract.training import (
        found_unseen,
        read_marked_pages,
        score,
        train_extractor,
    )
    from groundup.curate.extract.trees import TrainTrees

    config = apply_overrides(TrainTrees(), overrides)
    marked = read_marked_pages(pages)
    console = make_console()
    began = time.perf_counter()
    with progress_bar(console, "train", None):
        extractor = train_extractor(marked, config)
    seconds = time.perf_counter() - began
    with progress_bar(console, "measure", None):
        ways = {"this one, pages not seen": found_unseen(marked, config, min(_FOLDS, len(marked)))}
        for name in ("groundup", "resiliparse"):
            ways[name] = [extractor_of(name)(page.html) for page in marked]
    wanted = [page.text for page in marked]
    scores = {name: score(found, wanted)._asdict() for name, found in ways.items()}
    extractor.save(out)
    result = {"out": str(out), "pages": len(marked), "seconds": seconds, "scores": scores}
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(f"{out}: trained on {len(marked)} pages in {seconds:.1f} s.")
    click.echo(f"{'':26}{'F1':>7}{'precision':>11}{'recall':>8}")
    for name, found in scores.items():
        f1, precision, recall = found.values()
        click.echo(f"{name:26}{f1:7.3f}{precision:11.3f}{recall:8.3f}")
