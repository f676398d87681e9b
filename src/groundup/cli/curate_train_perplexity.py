"""`groundup curate train-perplexity`."""

import json
import time
from pathlib import Path

import click

_HELD_OUT = 0.05  # of the bytes
_PIECE_BYTES = 3_000  # of a held-out text: about a page
_PERCENTILES = (50, 95, 99)


@click.command(
    short_help="Train a model of words, which says how surprising a text is.",
    epilog="""\b
Examples:
  groundup curate train-perplexity encyclopedia/ --out words.safetensors
  groundup curate train-perplexity books/ news.jsonl --order 4 --megabytes 200 --out words.st""",
)
@click.argument(
    "reference", metavar="REFERENCE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write.",
)
@click.option(
    "--order", type=click.IntRange(1, 8), default=3, show_default=True, help="Words in a row."
)
@click.option(
    "--megabytes",
    type=click.FloatRange(min=0, min_open=True),
    default=50.0,
    show_default=True,
    help="Of the reference to read, at most; each takes 30 MB of memory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    reference: tuple[Path, ...], out: Path, order: int, megabytes: float, as_json: bool
) -> None:
    """Train a model of words on files and folders of REFERENCE: text of the kind that you want.

    The step Perplexity drops documents that surprise it more than you allow. To choose the limit,
    see how much pages surprise it that were held out.
    """
    import numpy as np

    from groundup.cli.corpus import Corpus
    from groundup.core.progress import make_console, progress_bar
    from groundup.curate.cut import cut_document
    from groundup.curate.document import Document
    from groundup.curate.perplexity import TrainWordModel, train_word_model

    console = make_console()
    corpus = Corpus(reference)
    with progress_bar(console, "read", None) as advance:
        training, held_out = corpus.split(_HELD_OUT, advance, megabytes * 1e6)
    corpus.say_rejected(console)
    began = time.perf_counter()
    with progress_bar(console, "learn", None):
        model = train_word_model(training, TrainWordModel(order=order))
    seconds = time.perf_counter() - began
    documents = (Document(text, "", "") for text in held_out)
    pieces = [piece.text for whole in documents for piece in cut_document(whole, _PIECE_BYTES)]
    perplexities = model.perplexities(pieces)
    shown = np.nanpercentile(perplexities, _PERCENTILES).tolist()
    model.save(out)
    result = {
        "out": str(out),
        "bytes": sum(len(text.encode("utf-8")) for text in training),
        "seconds": seconds,
        "rows": int(np.count_nonzero(model.table[:, 0])),
        "held_out_pages": len(pieces),
        "percentiles": dict(zip(map(str, _PERCENTILES), shown, strict=True)),
    }
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(
            f"{out}: {result['rows']:,} rows of up to {order} words, from {result['bytes']:,} "
            f"bytes in {seconds:.1f} s.\nOf {len(pieces):,} pages that were held out, half have a "
            f"perplexity below {shown[0]:,.0f}, 95 % below {shown[1]:,.0f} and 99 % below "
            f"{shown[2]:,.0f}."
        )
