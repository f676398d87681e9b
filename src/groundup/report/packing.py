"""What each source gives of a training's tokens, for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundup.report.formats import percent, quantity, visible

_HEADINGS = ("documents", "held out", "text", "tokens", "share", "gives", "epochs")


def print_packing(facts: Mapping[str, Any], console: Console) -> None:
    """A line for each source. facts: of a packed folder."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("source", overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in facts["sources"]:
        table.add_row(
            Text(visible(row["name"])),
            f"{row['documents']:,}",
            f"{row['held_out']:,}",
            quantity(row["bytes"], "B"),
            quantity(row["tokens"]),
            percent(row["share"]),
            quantity(row["gives"]),
            f"{row['epochs']:.2f}",
        )
    console.print(table)
    for row in facts["sources"]:
        if row["unreadable"]:
            left_out = f"{row['name']}: {row['unreadable']:,} that could not be read were left out."
            console.print(Text(visible(left_out)))
