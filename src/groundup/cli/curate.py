"""`groundup curate`."""

import click

from groundup.cli.lazy_group import LazyGroup

_COMMANDS = {
    "run": "Take a source through the steps of a recipe.",
    "inspect": "Show what a run kept, what it rejected and why, as a page.",
    "train-extractor": "Train what finds the main text of web pages, on some of yours.",
    "train-classifier": "Train what judges documents, on labelled rows or on pages of two kinds.",
    "train-perplexity": "Train what knows how good documents read, on some of them.",
}


@click.group(cls=LazyGroup, summaries=_COMMANDS, prefix="curate_")
def command() -> None:
    """Make a training corpus of raw documents, and see what was left out and why."""
