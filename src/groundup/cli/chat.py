"""`groundup chat`."""

from pathlib import Path

import click


@click.command(epilog="\b\nExample:\n  groundup chat runs/quickstart")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--stage", type=click.Choice(["base", "sft", "grpo"]), help="Default: the last.")
@click.option("--temperature", type=float, default=0.7, show_default=True)
@click.option("--max-tokens", type=int, default=200, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def command(run: Path, stage: str | None, temperature: float, max_tokens: int, seed: int) -> None:
    """Talk to the model of a run. An empty line or Ctrl-D ends the talk."""
    from groundup.align.chat import END_OF_TEXT, encode_request
    from groundup.cli.generate import print_stream, sampling_of
    from groundup.core.device import select_device, tune_cpu
    from groundup.infer import Engine, load_run
    from groundup.infer.load import document_ends

    tune_cpu()
    model, tokenizer, stage = load_run(run, stage)
    begin, end = document_ends(run, tokenizer.special_tokens.get(END_OF_TEXT))
    engine = Engine(model, select_device(), stop=end)
    click.echo(
        f"{run}, stage {stage}. Each answer stands for itself; an empty line ends.", err=True
    )
    if stage == "base":
        click.echo("This model was not fine-tuned: it continues your text.", err=True)
    turn = 0
    while request := _ask():
        if stage == "base":
            prompt = [*begin, *tokenizer.encode_ordinary(request)]
        else:
            prompt = encode_request(tokenizer, request)
        print_stream(engine, tokenizer, prompt, sampling_of(max_tokens, temperature, seed + turn))
        turn += 1


def _ask() -> str:
    try:
        return click.prompt(">", default="", show_default=False, prompt_suffix=" ").strip()
    except click.Abort:  # Ctrl-D
        return ""
