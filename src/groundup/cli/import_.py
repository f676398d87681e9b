"""`groundup import`."""

import json
from pathlib import Path

import click


@click.command(
    "import",
    epilog="""\b
Examples:
  groundup import Qwen3-0.6B/ --out runs/qwen
  groundup generate runs/qwen "The capital of France is\"""",
)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The run's folder to make."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(directory: Path, out: Path, as_json: bool) -> None:
    """Make a run of a model in Hugging Face's format.

    DIRECTORY holds config.json, safetensors and tokenizer.json, as the Hub's repositories do. The
    model is held in float32, whatever the file's format is.
    """
    from groundup.exchange import import_run
    from groundup.report.formats import quantity

    facts = import_run(directory, out)
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"{out}: {facts['architecture']}, {quantity(facts['parameters'])} weights")
    if facts["left_out"]:
        names = ", ".join(facts["left_out"][:3]) + (", …" if len(facts["left_out"]) > 3 else "")
        count = len(facts["left_out"])
        click.echo(f"without {count} tensors that the model has no part for: {names}", err=True)
    if facts["tokenizer"]:
        click.echo(f"without a tokenizer: {facts['tokenizer']}", err=True)
