"""What a person sees while work goes on: stage headings and progress bars, on standard error.

On a terminal, bars move; elsewhere (a log file, a pipe, CI) they are silent and only the headings
and results are printed, a line each. Standard output is left to results.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")


class Advance(Protocol):
    """Moves the bar on by `amount` and shows `note` at its end."""

    def __call__(self, amount: float = 1, note: str = "") -> None: ...


def make_console(*, quiet: bool = False) -> Console:
    """The console for headings and progress: standard error, silent when `quiet`."""
    return Console(stderr=True, quiet=quiet, highlight=False)


@contextmanager
def progress_bar(console: Console, description: str, total: float | None) -> Iterator[Advance]:
    """A bar for `total` units of work (None: unknown); the value moves it on."""
    if not console.is_terminal or console.quiet:
        yield stand_still
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%" if total else "{task.completed:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(description, total=total, note="")

        def advance(amount: float = 1, note: str = "") -> None:
            progress.update(task, advance=amount, note=note)

        yield advance


def track(
    console: Console, items: Iterable[Item], description: str, total: float | None = None
) -> Iterator[Item]:
    """Iterate over `items` behind a progress bar."""
    with progress_bar(console, description, total) as advance:
        for item in items:
            yield item
            advance()


def stand_still(amount: float = 1, note: str = "") -> None:
    """Progress that nobody sees: beside a terminal, or in another process."""
