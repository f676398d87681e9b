"""`groundup data pack`."""

import json
import time
from contextlib import AbstractContextManager
from pathlib import Path

import click

from groundup.cli.engine_options import engine_options
from groundup.curate.engines.engine import Engine


@click.command(
    epilog="""\b
Examples:
  groundup data pack --data web=runs/crawl --data code=runs/code --tokenizer runs/quickstart
  groundup data pack --data web=crawl/ --data books=books/ --tokenizer tokenizer.json \\
      --set sources.0.weight=3 --set sources.1.weight=1 --set tokens=2e9
  groundup data pack mine.py:mixture --workers 8 --name mixture
  groundup train llama --data runs/mixture"""
)
@click.argument("recipe", required=False)
@click.option(
    "--data", multiple=True, metavar="NAME=DATA", help="A source, as in quickstart; repeatable."
)
@click.option("--tokenizer", help="A tokenizer.json, or the folder of a run that has one.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option("--name", default="packed", show_default=True, help="The folder below --runs.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    recipe: str | None,
    data: tuple[str, ...],
    tokenizer: str | None,
    overrides: tuple[str, ...],
    name: str,
    runs: Path,
    engine: AbstractContextManager[Engine],
    as_json: bool,
) -> None:
    """Make token shards of documents, and the shares in which they are mixed.

    RECIPE is FILE.py:FUNCTION, or a saved config.json of a Packing; or give --data and --tokenizer.
    The run's folder is what `groundup train --data` reads. The same command goes on where a killed
    one stopped.
    """
    from rich.console import Console

    from groundup.core.config import apply_overrides, from_dict
    from groundup.core.progress import make_console
    from groundup.packing import Packing, run_packing
    from groundup.recipes.load import load_recipe
    from groundup.report.packing import print_packing

    if recipe is not None and not data:
        config = load_recipe(recipe, Packing, {})
    elif recipe is None and data and tokenizer:
        named = [one.partition("=") for one in data]
        if not all(where for _, _, where in named):
            raise click.UsageError("--data is NAME=DATA, as in --data web=runs/crawl.")
        sources = [{"name": title, "data": where} for title, _, where in named]
        config = from_dict(Packing, {"sources": sources, "tokenizer": tokenizer})
    else:
        raise click.UsageError("give a RECIPE, or --data NAME=DATA and --tokenizer.")
    changes = [f"tokenizer={tokenizer}"] if tokenizer else []
    config = apply_overrides(config, [*changes, *overrides])
    directory = runs / name
    started = time.perf_counter()
    with engine as where:
        manifest = run_packing(config, directory, where, make_console())
    seconds = time.perf_counter() - started
    if as_json:
        click.echo(json.dumps({"run": str(directory), "seconds": seconds, **manifest.facts}))
        return
    print_packing(manifest.facts, Console(highlight=False))
    click.echo(f"Train on it: groundup train llama --data {directory} ({seconds:.1f} s)")
