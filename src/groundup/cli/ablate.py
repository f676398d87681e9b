"""`groundup ablate`."""

import json
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  groundup ablate ablation --vary model.norm=rmsnorm,layernorm,none
  groundup ablate ablation --vary model.position=rope,learned,nope --seeds 3 --name positions
  groundup ablate mine.py:recipe --vary pretrain.optimizer.matrices.lr=0.01,0.02 --budget 60s"""
)
@click.argument("recipe")
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=VALUE,VALUE",
    help="A setting and the values to try; repeatable. Each is changed alone, from the recipe.",
)
@click.option("--grid", is_flag=True, help="Try all combinations of the values instead.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--budget", help="Of each training: FLOPs, such as 2e13, or time, such as 60s. Default: 2e13."
)
@click.option("--data", help="As in quickstart. Default: stdlib.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option("--name", default="ablation", show_default=True, help="The folder below --runs.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    recipe: str,
    vary: tuple[str, ...],
    grid: bool,
    seeds: int,
    budget: str | None,
    data: str | None,
    overrides: tuple[str, ...],
    name: str,
    runs: Path,
    as_json: bool,
) -> None:
    """Train variants of a recipe with the same budget, and compare them.

    RECIPE is `ablation`, a rung of the ladder (`llama`, `gpt-2`, …), FILE.py:FUNCTION, or a saved
    config.json of an Experiment. A finished training is not done again, and a killed one goes on,
    so the same command resumes.
    """
    from groundup.core.config import apply_overrides
    from groundup.core.files import write_text
    from groundup.core.progress import make_console
    from groundup.experiments import compare, variants_of
    from groundup.recipes.experiment import Experiment, experiments
    from groundup.recipes.load import load_recipe
    from groundup.report.trials import print_trials, trials_svg

    base = load_recipe(recipe, Experiment, experiments())
    given = {"budget": budget, "data": data}
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    base = apply_overrides(base, [*changes, *overrides])
    directory = runs / name
    result = compare(
        variants_of(base, vary, grid=grid), directory, seeds=seeds, console=make_console()
    )
    write_text(directory / "ablation.svg", trials_svg(result))
    if as_json:
        click.echo(json.dumps(result))
        return
    print_trials(result)
    click.echo(f"{directory / 'ablation.svg'} shows it.")
