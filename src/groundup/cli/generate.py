"""`groundup generate`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from groundup.infer import Engine, Sampling
    from groundup.tokenizers import Tokenizer


@click.command(
    epilog="""\b
Examples:
  groundup generate runs/quickstart "def mean(values):"
  echo "import os" | groundup generate runs/quickstart -"""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("prompt")
@click.option(
    "--stage", type=click.Choice(["base", "sft", "grpo"]), default="base", show_default=True
)
@click.option("--temperature", type=float, default=0.8, show_default=True)
@click.option("--max-tokens", type=int, default=128, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def command(
    run: Path, prompt: str, stage: str, temperature: float, max_tokens: int, seed: int
) -> None:
    """Continue PROMPT with the model of a run; `-` reads it from standard input."""
    from groundup.align.chat import END_OF_TEXT
    from groundup.core.device import select_device, tune_cpu
    from groundup.infer import Engine, load_run
    from groundup.infer.load import document_ends

    text = sys.stdin.read() if prompt == "-" else prompt
    tune_cpu()
    model, tokenizer, _ = load_run(run, stage)
    begin, end = document_ends(run, tokenizer.special_tokens.get(END_OF_TEXT))
    engine = Engine(model, select_device(), stop=end)
    sampling = sampling_of(max_tokens, temperature, seed)
    tokens = [*begin, *tokenizer.encode_ordinary(text)]
    print_stream(engine, tokenizer, tokens, sampling, opening=text)


def sampling_of(max_tokens: int, temperature: float, seed: int) -> "Sampling":
    """The options as a config; a wrong one is a usage error."""
    from groundup.infer import Sampling

    try:
        return Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def print_stream(
    engine: "Engine",
    tokenizer: "Tokenizer",
    prompt: Sequence[int],
    sampling: "Sampling",
    opening: str = "",
) -> None:
    """Print `opening`, and a completion as it is drawn, whole characters at a time.

    What a model writes is untrusted: control characters are shown and not obeyed.
    """
    from groundup.report.formats import visible
    from groundup.tokenizers import StreamDecoder

    tokens = engine.stream(prompt, sampling)
    click.echo(opening, nl=False)
    decoder = StreamDecoder(tokenizer)
    for token in tokens:
        click.echo(visible(decoder.push(token)), nl=False)
        sys.stdout.flush()
    click.echo(visible(decoder.finish()))
