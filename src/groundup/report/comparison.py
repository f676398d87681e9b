"""Tokenizers side by side: what `groundup tokenizer compare` found, as tables and as a plot.

A result is a JSON value,
as `tokenizers.comparison.compare_tokenizers` returns it.
"""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundup.report.formats import quantity, visible
from groundup.report.plots import Line, Point, line_plot
from groundup.report.svg_file import svg_file

_NAME = "tokenizers"


def print_comparison(result: dict[str, Any]) -> None:
    """What each tokenizer makes of the held-out text, and of its scripts, to standard output."""
    console = Console(highlight=False)
    training, held_out = (
        f"{result[side]['documents']:,} to {said} ({quantity(result[side]['bytes'], 'B')})"
        for side, said in (("training", "train on"), ("held_out", "measure on"))
    )
    console.print(f"Documents: {training}, {held_out}.")
    console.print(_overview(result))
    console.print(_scripts(result))
    if result["left_out"]:
        sizes = ", ".join(f"{size:,}" for size in result["left_out"])
        console.print(f"The corpus is too small for a BPE of {sizes}.")


def comparison_svg(result: dict[str, Any]) -> str:
    """The file of a plot of compression against vocabulary."""
    sizes = [(row["vocabulary"], row["bytes_per_token"], row) for row in result["tokenizers"]]
    curve = [(x, y) for x, y, row in sizes if row["kind"] == "BPE"]
    points = [
        Point(label=visible(row["name"]), x=x, y=y) for x, y, row in sizes if row["kind"] != "BPE"
    ]
    svg = line_plot(
        _NAME,
        [Line(points=curve, label="BPE", dots=True)],
        x="vocabulary",
        y="bytes per token of held-out text, more is better",
        points=points,
        from_zero=True,
        log_x=True,
    )
    said = "; ".join(f"{row['name']} {row['bytes_per_token']:.2f}" for row in result["tokenizers"])
    return svg_file(_NAME, svg, f"Bytes per token of held-out text: {said}.")


def _overview(result: dict[str, Any]) -> Table:
    table = Table(title="On held-out text", title_justify="left")
    table.add_column("tokenizer", overflow="fold")
    for column in ("vocabulary", "bytes\nper token", "tokens\nper word", "unknown\ntokens"):
        table.add_column(column, justify="right")
    table.add_column("tokens\nper digit", justify="right")
    for row in result["tokenizers"]:
        digits = row["tokens_per_character"].get("digits")
        table.add_row(
            Text(visible(row["name"])),
            f"{row['vocabulary']:,}",
            f"{row['bytes_per_token']:.2f}",
            f"{row['tokens_per_word']:.2f}",
            f"{100 * row['unknown_share']:.2g} %" if row["unknown_share"] else "none",
            "" if digits is None else f"{digits:.2f}",
        )
    return table


def _scripts(result: dict[str, Any]) -> Table:
    characters = result["held_out"]["characters"]
    table = Table(title="Tokens per character", title_justify="left")
    table.add_column("tokenizer", overflow="fold")
    for script in characters:
        table.add_column(script, justify="right")
    table.add_row("in the text", *(f"{count:,}" for count in characters.values()), end_section=True)
    for row in result["tokenizers"]:
        each = row["tokens_per_character"]
        table.add_row(Text(visible(row["name"])), *(f"{each[name]:.2f}" for name in characters))
    return table
