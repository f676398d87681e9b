"""`groundup curate`."""

import click

from groundup.cli.lazy_group import LazyGroup

_COMMANDS = {
    "run": "Take a source through the steps of a recipe.",
    "train-classifier": "Train what judges documents, on labelled rows or on pages of two kinds.",
}
from groundup.cli import train_classifier, train_perplexity


@click.group(cls=LazyGroup, summaries=_COMMANDS, prefix="curate_")
def command() -> None:
    """Make a training corpus of raw documents, and see what was left out and why."""
    """Choose documents: train what judges them."""


command.add_command(train_classifier.command, "train-classifier")
command.add_command(train_perplexity.command, "train-perplexity")
