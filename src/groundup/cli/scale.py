"""`groundup scale`."""

import click

from groundup.cli.lazy_group import LazyGroup

_COMMANDS = {
    "fit": "Fit laws to trainings, and predict the best one for a budget.",
}


@click.group(cls=LazyGroup, summaries=_COMMANDS, prefix="scale_")
def command() -> None:
    """Find out which model and how many tokens are best for a budget, from small trainings."""
