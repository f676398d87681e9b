"""`groundup watch`."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from groundup.report.followers import Follower


@click.command(
    epilog="""\b
Examples:
  groundup watch runs/train
  groundup watch runs/train --once
  groundup watch runs/train --tensorboard logs/"""
)
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--once", is_flag=True, help="Show where it stands, and end.")
@click.option("--every", default=1.0, show_default=True, help="Seconds between two looks.")
@click.option(
    "--tensorboard", type=click.Path(path_type=Path), help="Write event files to this folder, too."
)
@click.option("--wandb", metavar="PROJECT", help="Log to Weights & Biases, too.")
def command(
    run: Path, once: bool, every: float, tensorboard: Path | None, wandb: str | None
) -> None:
    """Follow a training that goes on, here or in another terminal.

    RUN is its folder. Shown is the stage that wrote last: its curves, its rate, the time that is
    left, and steps that were refused. It ends with the stage, or with Ctrl-C, which does not
    touch the training.
    """
    from rich.console import Console
    from rich.live import Live

    from groundup.core.errors import InputError
    from groundup.core.manifest import MANIFEST
    from groundup.core.metrics import read_metrics
    from groundup.report.dashboard import dashboard
    from groundup.report.followers import pass_on

    files = sorted(run.rglob("metrics.jsonl"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise InputError(f"{run} has no metrics.jsonl yet: no training has begun in it.")
    stage = files[-1].parent
    name = str(stage.relative_to(run.parent))

    def look() -> list[dict[str, Any]]:
        return read_metrics(stage / "metrics.jsonl")

    with ExitStack() as stack:
        followers = [*_followers(stack, tensorboard, wandb, name)]
        given = [0] * len(followers)
        console = Console(highlight=False)
        live = None if once else stack.enter_context(Live(console=console, auto_refresh=False))
        while True:
            records, finished = look(), (stage / MANIFEST).exists()
            for index, follower in enumerate(followers):
                given[index] = pass_on(follower, records, given[index])
            shown = dashboard(name, records, _steps(stage))
            if live is None:
                console.print(shown)
                return
            live.update(shown, refresh=True)
            if finished:
                return
            time.sleep(every)


def _steps(stage: Path) -> int | None:
    from groundup.core.files import read_json

    path = stage / "training.json"
    return read_json(path)["steps"] if path.exists() else None


def _followers(
    stack: ExitStack, tensorboard: Path | None, wandb: str | None, name: str
) -> "list[Follower]":
    from groundup.report.followers import TensorBoard, WeightsAndBiases

    followers: list[Follower] = []
    if tensorboard is not None:
        followers.append(TensorBoard(tensorboard))
    if wandb is not None:
        followers.append(WeightsAndBiases(wandb, name))
    for follower in followers:
        stack.callback(follower.close)
    return followers
