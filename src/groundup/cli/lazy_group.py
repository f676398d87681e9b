"""A group of subcommands that are imported when they are called."""

import importlib
import keyword
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Looks the subcommand NAME up as `command` of `groundup.cli.PREFIXNAME`, where `-` is `_`, and
    a word of Python's has one behind it.

    summaries: a line of help for each subcommand, in their order.
    """

    def __init__(self, summaries: Mapping[str, str], prefix: str = "", **more: Any):
        super().__init__(**more)
        self._summaries = summaries
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries:
            return None
        name = cmd_name.replace("-", "_") + ("_" if keyword.iskeyword(cmd_name) else "")
        return importlib.import_module(f"groundup.cli.{self._prefix}{name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
