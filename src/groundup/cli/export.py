"""`groundup export`."""

import json
from pathlib import Path

import click


@click.command(
    "export",
    epilog="""\b
Examples:
  groundup quickstart --name plain --set plan.model.attention.shift=false
  groundup export runs/plain --out plain-hf
  groundup export runs/plain --out small --stage base --dtype bfloat16
  groundup import Qwen3-0.6B/ --out runs/qwen
  groundup export runs/qwen --out qwen-hf""",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@click.option("--to", type=click.Choice(["hf"]), default="hf", show_default=True)
@click.option("--stage", type=click.Choice(["base", "sft", "grpo"]), help="Default: the last.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Of the weights in the file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(run: Path, out: Path, to: str, stage: str | None, dtype: str, as_json: bool) -> None:  # noqa: ARG001
    """Write the model of a run in Hugging Face's format, for `transformers` and vLLM.

    With the weights come the tokenizer with its chat template, and a model card: data and licence
    with their fingerprints, FLOPs, evaluation, and the config to make the model again.

    Only what a class of `transformers` has can be written: quickstart's own key-value shift is in
    none, so a run that is to be exported is trained without it, as in the example.
    """
    import torch

    from groundup.exchange import export_run
    from groundup.report.formats import quantity

    facts = export_run(run, out, stage=stage, dtype=getattr(torch, dtype))
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(
        f"{out}: {facts['architecture']}, {quantity(facts['parameters'])} weights, "
        f"stage {facts['stage']}"
    )
    if not facts["tokenizer"]:
        click.echo("without a tokenizer: the model was imported without one", err=True)
