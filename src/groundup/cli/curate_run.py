"""`groundup curate run`."""

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
  groundup curate run web --data crawl/ --name crawl
  groundup curate run basic --data my-documents/ --set steps.3.threshold=0.7
  groundup curate run mine.py:recipe --data hf:ORG/NAME --workers 8
  groundup curate run web --data /all/crawl --runs /all/runs --engine ray --ray-address auto"""
)
@click.argument("recipe")
@click.option("--data", required=True, help="As in quickstart.")
@click.option("--text-field", default="text", show_default=True, help="Of JSON or tables.")
@click.option(
    "--extractor",
    default="groundup",
    show_default=True,
    help="Of web pages' main text: groundup, resiliparse, trafilatura, or one you trained.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option("--name", default="corpus", show_default=True, help="The folder below --runs.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    recipe: str,
    data: str,
    text_field: str,
    extractor: str,
    overrides: tuple[str, ...],
    name: str,
    runs: Path,
    engine: AbstractContextManager[Engine],
    as_json: bool,
) -> None:
    """Take a source through the steps of a recipe.

    RECIPE is `web`, `code` or `basic`, FILE.py:FUNCTION, or a saved config.json of a Curation.
    What is kept is in documents/ of the run's folder, what was dropped, with the reasons, in
    rejected/. The same command goes on where a killed one stopped, and --data with that folder
    trains on it.
    """
    from rich.console import Console

    from groundup.core.config import apply_overrides
    from groundup.core.progress import make_console
    from groundup.curate import open_source
    from groundup.curate.curation import Curation, run_curation
    from groundup.curate.reading import Reading
    from groundup.recipes.curation import curations
    from groundup.recipes.load import load_recipe
    from groundup.report.funnel import print_funnel

    config = apply_overrides(load_recipe(recipe, Curation, curations()), overrides)
    source = open_source(data, reading=Reading(text_field=text_field, extractor=extractor))
    directory = runs / name
    started = time.perf_counter()
    with engine as where:
        manifest = run_curation(config, source, data, directory, where, make_console())
    seconds = time.perf_counter() - started
    if as_json:
        click.echo(json.dumps({"run": str(directory), "seconds": seconds, **manifest.facts}))
        return
    print_funnel(manifest.facts["funnel"], Console(highlight=False))
    click.echo(f"{directory / 'documents'} has what is left ({seconds:.1f} s).")
