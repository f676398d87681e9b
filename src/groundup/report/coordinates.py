"""A coordinate check as a table and as a plot. A result is a JSON value, as
`scaling.coordinates.coordinate_check` returns it."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from groundup.report.plots import Line, line_plot
from groundup.report.svg_file import svg_file


def print_coordinates(result: dict[str, Any]) -> None:
    """Each part's change at every width, and its slope, to standard output."""
    widths = [str(width) for width in result["parts"][0]["widths"]]
    columns = [Column(name, justify="right") for name in (*widths, "slope")]
    table = Table("", *columns, box=SIMPLE_HEAD)
    for part in result["parts"]:
        changes = [f"{change:.3g}" for change in part["changes"]]
        table.add_row(part["part"], *changes, f"{part['slope']:+.2f}")
    console = Console(highlight=False)
    console.print(
        f"Change of each output after {result['steps']} steps, by width; rule {result['rule']}"
    )
    console.print(table)
    console.print("A slope of 0 is a learning rate that transfers to any width.", style="dim")


def coordinates_svg(result: dict[str, Any]) -> str:
    """The file of a plot of each part's change against the width, both axes logarithmic."""
    lines = [
        Line(
            label=f"{part['part']} ({part['slope']:+.2f})",
            points=list(zip(part["widths"], part["changes"], strict=True)),
            dots=True,
        )
        for part in result["parts"]
    ]
    y = f"change after {result['steps']} steps"
    svg = line_plot("coordinates", lines, x="width", y=y, log_x=True, log_y=True)
    said = "; ".join(f"{part['part']} {part['slope']:+.2f}" for part in result["parts"])
    return svg_file("coordinates", svg, f"{y.capitalize()} against width; slopes: {said}.")
