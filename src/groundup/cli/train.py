"""`groundup train`."""

import json
from pathlib import Path
from typing import Literal

import click


@click.command(
    epilog="""\b
Examples:
  groundup train llama --data my-documents/ --budget 10m
  groundup train ablation --set pretrain.optimizer.matrices.lr=0.01 --name slower
  groundup train mine.py:recipe --set model.depth=6 --name deeper
  groundup train runs/deeper/config.json --name again
  torchrun --nproc-per-node 2 -m groundup train llama --shard optimizer
  torchrun --nproc-per-node 4 -m groundup train deepseek --pipeline 2 --experts 2"""
)
@click.argument("recipe")
@click.option("--budget", help="FLOPs, such as 2e13, or time, such as 60s. Default: the recipe's.")
@click.option("--data", help="As in quickstart. Default: the recipe's.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option("--name", default="train", show_default=True, help="The folder below --runs.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option(
    "--shard",
    type=click.Choice(["nothing", "optimizer", "gradients", "weights"]),
    default="nothing",
    show_default=True,
    help="What each of several processes keeps a share of.",
)
@click.option("--tensor", default=1, show_default=True, help="Processes that share each matrix.")
@click.option("--pipeline", default=1, show_default=True, help="Processes that share the blocks.")
@click.option("--context", default=1, show_default=True, help="Processes that share each sequence.")
@click.option("--experts", default=1, show_default=True, help="Processes that share the experts.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    recipe: str,
    budget: str | None,
    data: str | None,
    overrides: tuple[str, ...],
    name: str,
    runs: Path,
    shard: Literal["nothing", "optimizer", "gradients", "weights"],
    tensor: int,
    pipeline: int,
    context: int,
    experts: int,
    as_json: bool,
) -> None:
    """Train one model on documents, for a budget.

    RECIPE is `ablation`, a rung of the ladder (`llama`, `gpt-2`, …), FILE.py:FUNCTION, or a saved
    config.json of an Experiment. A killed training goes on where it was, so the same command
    resumes it. Launched by torchrun, processes share the training as the options say, and those
    that share nothing else read different rows of each batch; a resumed training may have more or
    fewer of them.
    """
    from groundup.core.config import apply_overrides
    from groundup.core.errors import InputError
    from groundup.core.files import write_text
    from groundup.core.processes import comes_first
    from groundup.core.progress import make_console
    from groundup.parallel.parallelism import Parallelism
    from groundup.recipes.experiment import Experiment, experiments
    from groundup.recipes.load import load_recipe
    from groundup.report.formats import duration, quantity
    from groundup.report.trials import training_svg
    from groundup.training import run_training

    base = load_recipe(recipe, Experiment, experiments())
    given = {"budget": budget, "data": data}
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    directory = runs / name
    experiment = apply_overrides(base, [*changes, *overrides])
    try:
        parallelism = Parallelism(
            shard=shard, tensor=tensor, pipeline=pipeline, context=context, experts=experts
        )
    except ValueError as error:
        raise InputError(f"{error}.") from error
    result = run_training(experiment, directory, make_console(), parallelism)
    if not comes_first():
        return
    write_text(directory / "curve.svg", training_svg(result))
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(
        f"{result['bits_per_byte']:.3f} bits per byte of held-out text: "
        f"{quantity(result['parameters'])} weights, {quantity(result['tokens'])} tokens, "
        f"{quantity(result['flops'])} FLOPs, {duration(result['seconds'])}."
    )
    click.echo(f"{directory / 'curve.svg'} shows how it fell.")
    click.echo(f"Continue a text: groundup generate {directory} 'def '")
