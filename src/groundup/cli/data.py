"""`groundup data`."""

import click

from groundup.cli.lazy_group import LazyGroup

_COMMANDS = {
    "pack": "Make token shards of documents, and the shares in which they are mixed.",
}


@click.group(cls=LazyGroup, summaries=_COMMANDS, prefix="data_")
def command() -> None:
    """Make of documents what a training reads."""
