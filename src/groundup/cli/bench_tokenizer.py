"""`groundup bench tokenizer`."""

from pathlib import Path

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench tokenizer --text corpus.txt --quick
  groundup bench tokenizer --text corpus.txt --only decode --only train
  groundup bench tokenizer --text corpus.txt --plot tokenizer.svg"""
)
@click.option(
    "--text",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="UTF-8 to encode (the first 20 MB) and to learn vocabularies from (the rest).",
)
@click.option(
    "--only",
    type=click.Choice(["encode", "decode", "train"]),
    multiple=True,
    help="A task alone; repeatable.",
)
@click.option("--quick", is_flag=True, help="1 MB and small vocabularies: within a minute.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the encoding rates: an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    text: Path, only: tuple[str, ...], quick: bool, plot: Path | None, as_json: bool
) -> None:
    """Encoding, decoding and training beside tiktoken, tokenizers, gigatoken, fastokens, rustbpe.

    A quarter of an hour with all of them.

    Those that are installed are measured. All get one vocabulary, and their ids are compared.
    """
    from groundup.bench.plot import plot_rates
    from groundup.bench.tokenizer import bench_tokenizer

    if plot is not None and only and "encode" not in only:
        raise click.UsageError("--plot draws the encoding rates: add --only encode.")
    result = bench_tokenizer(text, only, quick=quick)
    if plot is not None:
        plot_rates(result, plot)
    tell(result, as_json)
