"""`groundup bench`."""

import json
import os
from pathlib import Path
from typing import Any

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
    help="A checkout of nanoGPT to measure beside ours. Default: transformers' GPT-2.",
)
@click.option("--quick", is_flag=True, help="Fewer steps: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def train(nanogpt: Path | None, quick: bool, as_json: bool) -> None:
    """Training throughput at nanoGPT's shape: 10.8 M parameters, batches of 16 × 256 tokens.

    On a GPU instead that of decoders of 124 M and of 1 B weights, without a peer.
    """
    from groundup.bench.train import bench_train

    result = bench_train(nanogpt, quick=quick)
    _tell(result, as_json)


@command.command(
    epilog="""\b
Examples:
  groundup bench learn --text shakespeare.txt --characters --budget 3m --seeds 5 --alone
  groundup bench learn --text books/ --held-out emma.txt --nanogpt ~/nanoGPT --plot books.svg"""
)
@click.option(
    "--text",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="UTF-8: a file, whose last tenth is held out, or a folder of .txt files.",
)
@click.option("--held-out", multiple=True, metavar="NAME", help="A file to hold out; repeatable.")
@click.option(
    "--budget",
    default="10m",
    show_default=True,
    help="Time of each training; ours is also given a third of it.",
)
@click.option("--characters", is_flag=True, help="Tokens are characters, not a BPE of 4,096.")
@click.option("--recipe", help="As in `groundup train`. Default: what the planner chooses.")
@click.option(
    "--nanogpt",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A checkout of nanoGPT to train beside ours. Default: transformers' GPT-2.",
)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True)
@click.option("--alone", is_flag=True, help="Ours alone, for the whole time: no peer, no third.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the curves: an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def learn(
    text: Path,
    held_out: tuple[str, ...],
    budget: str,
    characters: bool,
    recipe: str | None,
    nanogpt: Path | None,
    seeds: int,
    alone: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """What a time teaches: our recipe and nanoGPT's, on the same tokens.

    Ours is trained for the time and for a third of it, with each seed, and the peer's two sizes
    once each: some 35 minutes for a budget of ten and one seed.
    """
    from groundup.bench.learn import bench_learn, learning_svg
    from groundup.core.errors import InputError
    from groundup.core.files import write_text
    from groundup.recipes.experiment import Experiment, experiments
    from groundup.recipes.load import load_recipe
    from groundup.scaling import parse_budget

    seconds = parse_budget(budget).seconds
    if seconds is None:
        raise InputError(f"--budget {budget} must be a time here, such as 10m.")
    chosen = load_recipe(recipe, Experiment, experiments()) if recipe else None
    result = bench_learn(
        text,
        held_out,
        seconds=seconds,
        characters=characters,
        recipe=chosen,
        nanogpt=nanogpt,
        seeds=seeds,
        alone=alone,
    )
    if plot is not None:
        write_text(plot, learning_svg(result))
    _tell(result, as_json)


@command.command(
    epilog="""\b
Examples:
  groundup bench serving --quick
  groundup bench serving --json"""
)
@click.option("--quick", is_flag=True, help="Fewer tokens and requests: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def serving(quick: bool, as_json: bool) -> None:
    """The server under load: beside the bare engine, 200 clients, thousands of requests."""
    from groundup.bench.serving import bench_serving

    result = bench_serving(quick=quick)
    _tell(result, as_json)


@command.command(
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
def inference(run: Path | None, quick: bool, as_json: bool) -> None:
    """Generation with 97 M weights: alone, together, prompts, and requests that come one by one."""
    from groundup.bench.inference import bench_inference

    result = bench_inference(run, quick=quick)
    _tell(result, as_json)


@command.command(
    epilog="""\b
Examples:
  groundup bench models --quick
  groundup bench models --only Llama --only Mamba-2
  groundup bench models --json > models.json"""
)
@click.option("--only", multiple=True, metavar="FAMILY", help="A family alone; repeatable.")
@click.option("--quick", is_flag=True, help="Eager alone, which takes far less time.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def models(only: tuple[str, ...], quick: bool, as_json: bool) -> None:
    """A forward pass of each decoder beside that of transformers, eager and compiled.

    A minute or two a family, of which there are 13; --only measures some.
    """
    from groundup.bench.models import bench_models

    result = bench_models(only, quick=quick)
    _tell(result, as_json)


@command.command(
    epilog="""\b
Example:
  groundup bench optimizers --quick"""
)
@click.option("--quick", is_flag=True, help="Fewer weights and steps: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def optimizers(quick: bool, as_json: bool) -> None:
    """A step of each optimizer, beside torch's and beside what the memory allows."""
    from groundup.bench.optimizers import bench_optimizers

    result = bench_optimizers(quick=quick)
    _tell(result, as_json)


@command.command(
    epilog="""\b
Examples:
  groundup bench kernels --quick
  groundup bench kernels --device cpu --plot kernels.svg
  groundup bench kernels --device cuda --json > kernels.json
  groundup bench kernels --device cuda --only RMSNorm --only attention"""
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="cpu: those of the compiled core. cuda: those in Triton. auto: a GPU where there is one.",
)
@click.option("--quick", is_flag=True, help="Less, without the compiler: some seconds on a CPU.")
@click.option(
    "--only",
    metavar="WORD",
    multiple=True,
    help="On a GPU, operations with this in their names; repeatable.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw rates over sizes: an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def kernels(
    device: str, quick: bool, only: tuple[str, ...], plot: Path | None, as_json: bool
) -> None:
    """Fused operations beside PyTorch's, its compiler's, and what the machine allows.

    On a GPU also beside Liger-Kernel's, where it is installed, with the memory that each takes.
    """
    from groundup.bench.kernels import bench_kernels
    from groundup.bench.result import print_result
    from groundup.core.device import select_device

    chosen = select_device(device)
    if chosen.device.type == "cuda":
        from groundup.bench.gpu_case import FULL, QUICK
        from groundup.bench.gpu_kernels import bench_gpu_kernels

        result = bench_gpu_kernels(chosen, QUICK if quick else FULL, only)
    else:
        result = bench_kernels(quick=quick)
    if plot is not None:
        from groundup.bench.curves import plot_curves

        plot_curves(result, plot)
    if as_json:
        click.echo(json.dumps(result))
    else:
        print_result(result)
        for absent in result.get("absent", []):
            click.echo(f"not measured: {absent}")


@command.command(
    epilog="""\b
Examples:
  groundup bench parallel --quick
  groundup bench parallel --plot exchanges.svg"""
)
@click.option("--quick", is_flag=True, help="Two processes and a smaller model: some seconds.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw exchanges over sizes: an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def parallel(quick: bool, plot: Path | None, as_json: bool) -> None:
    """Training steps of several processes beside PyTorch's, what they send, and how fast."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler's own lines are of no use here
    from groundup.bench.parallel import bench_parallel

    result = bench_parallel(quick=quick)
    if plot is not None:
        from groundup.bench.curves import plot_curves

        plot_curves(result, plot)
    _tell(result, as_json)


@command.command(
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
def tokenizer(
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
    _tell(result, as_json)
    if result["absent"] and not as_json:
        click.echo(f"not installed, so not measured: {', '.join(result['absent'])}")


@command.command(
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
def ngram(text: Path, quick: bool, as_json: bool) -> None:
    """Training a 5-gram and scoring with it, beside kenlm where it is installed."""
    from groundup.bench.ngram import bench_ngram

    result = bench_ngram(text, quick=quick)
    _tell(result, as_json)


@command.command(
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
def curate(data: Path, quick: bool, as_json: bool) -> None:
    """Curation: main text of pages, MinHash, near-duplicates and classifiers, beside their
    peers; and masks for personal data."""
    from groundup.bench.curate import bench_curate

    result = bench_curate(data, quick=quick)
    _tell(result, as_json)
    if result["absent"] and not as_json:
        click.echo(f"not there, so not measured: {', '.join(result['absent'])}")


@command.command(
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
def crawl(text: Path, foreign: Path, out: Path) -> None:
    """Make a crawl around texts, to see what curation is worth: WARC files, what is visible on
    their pages, and texts that are held out."""
    from groundup.bench.crawl import write_crawl
    from groundup.core.errors import InputError

    if out.exists():
        raise InputError(f"{out} exists: choose another --out.")
    counts = write_crawl(text, foreign, out)
    click.echo(", ".join(f"{kind}: {count:,}" for kind, count in counts.items()))


@command.command(
    epilog="""\b
Examples:
  groundup bench data --quick
  groundup bench data --json > data.json"""
)
@click.option("--quick", is_flag=True, help="Few rounds, nothing compiled: within a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def data(quick: bool, as_json: bool) -> None:
    """Opening a billion tokens and reading batches of them, beside nanoGPT's way and torch's."""
    from groundup.bench.data import bench_data

    result = bench_data(quick=quick)
    _tell(result, as_json)


def _tell(result: dict[str, Any], as_json: bool) -> None:
    """The result as one JSON object, or as tables."""
    if as_json:
        click.echo(json.dumps(result))
        return
    from groundup.bench.result import print_result

    print_result(result)
