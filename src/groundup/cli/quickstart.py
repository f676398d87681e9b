"""`groundup quickstart`."""

import json
from pathlib import Path
from typing import Any

import click


@click.command(
    epilog="""\b
Examples:
  groundup quickstart
  groundup quickstart --budget 5m --name small
  groundup quickstart --data my-documents/ --budget 10m --name mine
  groundup quickstart --set tokenizer.vocab_size=8192 --set plan.model.depth=6"""
)
@click.option(
    "--data",
    help="stdlib (Python's own library, the default), tinystories, openwebtext, fineweb-edu, a "
    "URL, a Hugging Face dataset id, or files of yours: a folder, a file, a pattern, a list.",
)
@click.option(
    "--budget", help="Of the whole job: time, such as 10m, or FLOPs, such as 1e16. Default: 9m."
)
@click.option("--name", help="The run's folder below --runs. Default: quickstart.")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where runs live.",
)
@click.option("--chat", help="JSON lines with examples of yours to fine-tune on.")
@click.option("--verifier", help="MODULE:FUNCTION or FILE.py:FUNCTION that rewards answers.")
@click.option("--seed", type=int, help="Of everything that is random. Default: 0.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Start from a saved config.json, its plan included.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change any setting; plan.… settings are changed when the plan is made.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--quiet", is_flag=True, help="Print nothing but the result.")
def command(
    *,
    name: str | None,
    runs: Path,
    config_path: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Train, align and measure a model: the whole pipeline, for a budget.

    A finished stage is skipped and a killed one goes on, so the same command resumes a run.
    """
    import dataclasses

    from groundup.core.config import apply_overrides, load_config
    from groundup.core.progress import make_console
    from groundup.pipeline import run_quickstart
    from groundup.recipes.quickstart import Quickstart, quickstart
    from groundup.report.terminal import print_summary

    config = load_config(Quickstart, config_path) if config_path else quickstart()
    given = {key: value for key, value in settings.items() if value is not None}
    config = dataclasses.replace(config, **given)
    plan_keys = tuple(o.removeprefix("plan.") for o in overrides if o.startswith("plan."))
    config = apply_overrides(config, [o for o in overrides if not o.startswith("plan.")])
    if plan_keys:
        config = dataclasses.replace(config, plan_overrides=plan_keys)
    console = make_console(quiet=quiet)
    summary = run_quickstart(config, runs / (name or "quickstart"), console)
    if as_json:
        click.echo(json.dumps(summary))
    elif not quiet:
        print_summary(summary, runs / (name or "quickstart"))
