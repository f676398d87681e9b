"""`groundup ladder`."""

import json
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  groundup ladder
  groundup ladder --budget 60s --name minute --data my-documents/
  groundup ladder --seeds 3 --set compile=no"""
)
@click.option(
    "--budget", help="Of each training: FLOPs, such as 2e13, or time, such as 60s. Default: 2e13."
)
@click.option("--data", help="As in quickstart. Default: stdlib.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change all rungs.")
@click.option("--name", default="ladder", show_default=True, help="The folder below --runs.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    budget: str | None,
    data: str | None,
    seeds: int,
    overrides: tuple[str, ...],
    name: str,
    runs: Path,
    as_json: bool,
) -> None:
    """Train the field's history with one budget, and draw it.

    n-grams, LSTM, Transformer, GPT-2, Llama, Qwen3, a mixture of experts as DeepSeek's, Mamba-2 and
    our own, on the same text. A finished training is not done again, and a killed one goes on.
    """
    from groundup.core.config import apply_overrides
    from groundup.core.files import write_text
    from groundup.core.progress import make_console
    from groundup.experiments import Variant, compare
    from groundup.recipes.experiment import ladder
    from groundup.report.trials import curves_svg, print_trials

    given = {"budget": budget, "data": data}
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    rungs = [
        Variant(name=rung, experiment=apply_overrides(experiment, [*changes, *overrides]))
        for rung, experiment in ladder().items()
    ]
    directory = runs / name
    result = compare(rungs, directory, seeds=seeds, console=make_console(), ngrams=True)
    for against in ("flops", "seconds"):
        write_text(directory / f"ladder-{against}.svg", curves_svg(result, against=against))
    if as_json:
        click.echo(json.dumps(result))
        return
    print_trials(result)
    click.echo(f"{directory / 'ladder-flops.svg'} and ladder-seconds.svg show it.")
