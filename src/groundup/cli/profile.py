"""`groundup profile`."""

import json
import os
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  groundup profile llama
  groundup profile ablation --set pretrain.batch=16 --set compile=no --name wide
  groundup profile runs/train/config.json --steps 20 --json"""
)
@click.argument("recipe")
@click.option("--steps", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option("--name", default="profile", show_default=True, help="The folder below --runs.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    recipe: str, steps: int, overrides: tuple[str, ...], name: str, runs: Path, as_json: bool
) -> None:
    """Measure where a recipe's training step spends time and memory.

    RECIPE is as in train. No text is needed: tokens are random. Time is told by phase and by part
    of the model, memory by kind; beside them the folder holds profile.json, the plots time.svg and
    roofline.svg, and trace.json for chrome://tracing or ui.perfetto.dev.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler's own lines are of no use here
    from groundup.bench.result import machine_is_idle
    from groundup.core.config import apply_overrides, to_dict
    from groundup.core.device import select_device, tune_cpu
    from groundup.core.files import write_json, write_text
    from groundup.core.progress import make_console
    from groundup.core.rundir import open_run
    from groundup.recipes.experiment import Experiment, experiments
    from groundup.recipes.load import load_recipe
    from groundup.report.profile import print_profile, roofline_svg, time_svg
    from groundup.train.profile import profile_training
    from groundup.training import consistent, pretraining

    base = load_recipe(recipe, Experiment, experiments())
    experiment = consistent(apply_overrides(base, overrides))
    directory = runs / name
    with open_run(directory):
        tune_cpu()
        idle = machine_is_idle()
        device = select_device(experiment.device, experiment.dtype)
        result = profile_training(
            pretraining(experiment, device),
            experiment.model,
            device,
            directory,
            repeats=steps,
            console=make_console(),
        )
        result = {"recipe": to_dict(experiment), "idle": idle, **result}
        write_json(directory / "profile.json", result)
        write_text(directory / "time.svg", time_svg(result))
        write_text(directory / "roofline.svg", roofline_svg(result))
    if as_json:
        click.echo(json.dumps(result))
        return
    print_profile(result)
    click.echo(f"{directory / 'time.svg'} and roofline.svg show it; trace.json is one step.")
