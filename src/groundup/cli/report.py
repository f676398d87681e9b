"""`groundup report`."""

from pathlib import Path

import click


@click.command(epilog="\b\nExample:\n  groundup report runs/quickstart")
@click.argument("run", type=click.Path(path_type=Path))
def command(run: Path) -> None:
    """Write a run's report.html again, and print its path."""
    from groundup.report.html import write_report

    click.echo(write_report(run))
