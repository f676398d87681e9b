"""`groundup chat`."""

from pathlib import Path

import click


@click.command(epilog="\b\nExample:\n  groundup chat runs/quickstart")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--stage", type=click.Choice(["base", "sft", "grpo"]), help="Default: the last.")
@click.option("--temperature", type=float, default=0.7, show_default=True)
@click.option("--max-tokens", type=int, default=200, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def command(model: Path, stage: str | None, temperature: float, max_tokens: int, seed: int) -> None:
    """Talk to MODEL, a run or a directory of Hugging Face. An empty line or Ctrl-D ends it."""
    from groundup.cli.generate import print_stream, sampling_of
    from groundup.core.device import select_device, tune_cpu
    from groundup.core.errors import InputError
    from groundup.infer import Engine
    from groundup.loading import load_served

    tune_cpu()
    served = load_served(model, stage)
    engine = Engine(served.model, select_device(), stop=served.ends, never=served.silent)
    converses = served.template is not None
    click.echo(f"{served.name}. Each answer stands for itself; an empty line ends.", err=True)
    if not converses:
        click.echo("This model was not taught to converse: it continues your text.", err=True)
    turn = 0
    while request := _ask():
        message = {"role": "user", "content": request}
        sampling = sampling_of(max_tokens, temperature, seed + turn)
        try:
            prompt = served.conversation([message]) if converses else served.prompt(request)
            print_stream(engine, served.tokenizer, prompt, sampling)
        except InputError as error:  # too long, say: the next one may not be
            click.echo(str(error), err=True)
        turn += 1


def _ask() -> str:
    try:
        return click.prompt(">", default="", show_default=False, prompt_suffix=" ").strip()
    except click.Abort:  # Ctrl-D
        return ""
