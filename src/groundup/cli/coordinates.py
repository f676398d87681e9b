"""`groundup coordinates`."""

import json
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  groundup coordinates ablation
  groundup coordinates ablation --rule fixed --set pretrain.optimizer.matrices.lr=0.01"""
)
@click.argument("recipe")
@click.option(
    "--factor",
    "factors",
    multiple=True,
    type=click.IntRange(min=1),
    default=(1, 2, 4, 8),
    show_default=True,
    help="How many times as wide as the recipe's model; repeatable.",
)
@click.option(
    "--rule",
    type=click.Choice(["mup", "sqrt", "fixed"]),
    default="sqrt",
    show_default=True,
    help="How rates change with the width: sqrt is the planner's.",
)
@click.option("--steps", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option("--name", default="coordinates", show_default=True, help="The folder below --runs.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    recipe: str,
    factors: tuple[int, ...],
    rule: str,
    steps: int,
    overrides: tuple[str, ...],
    name: str,
    runs: Path,
    as_json: bool,
) -> None:
    """Check that learning rates transfer across width, on random text.

    RECIPE is as in train. A few steps at each width change what every part puts out; where the
    change is the same at every width, so is the best learning rate.
    """
    from groundup.core.config import apply_overrides
    from groundup.core.device import select_device, tune_cpu
    from groundup.core.errors import InputError
    from groundup.core.files import write_json, write_text
    from groundup.core.rundir import open_run
    from groundup.models import Decoder
    from groundup.recipes.experiment import Experiment, experiments
    from groundup.recipes.load import load_recipe
    from groundup.report.coordinates import coordinates_svg, print_coordinates
    from groundup.scaling.coordinates import coordinate_check

    experiment = apply_overrides(load_recipe(recipe, Experiment, experiments()), overrides)
    if not isinstance(experiment.model, Decoder):
        raise InputError(f"{recipe} is no decoder, and only those are widened here.")
    directory = runs / name
    with open_run(directory):
        tune_cpu()
        device = select_device(experiment.device, experiment.dtype)
        try:
            result = coordinate_check(
                experiment.pretrain,
                experiment.model,
                device,
                sorted(set(factors)),
                rule=rule,  # pyright: ignore[reportArgumentType]
                steps_done=steps,
            )
        except ValueError as error:
            raise InputError(f"{recipe}: {error}.") from error
        write_json(directory / "coordinates.json", result)
        write_text(directory / "coordinates.svg", coordinates_svg(result))
    if as_json:
        click.echo(json.dumps(result))
        return
    print_coordinates(result)
    click.echo(f"{directory / 'coordinates.svg'} shows it.")
