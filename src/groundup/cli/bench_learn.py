"""`groundup bench learn`."""

from pathlib import Path

import click

from groundup.cli.tell import tell


@click.command(
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
def command(
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
    tell(result, as_json)
