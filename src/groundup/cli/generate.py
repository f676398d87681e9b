"""`groundup generate`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from groundup.infer import Engine, Sampling
    from groundup.infer.batch import Record
    from groundup.infer.grammar import TokenGrammar
    from groundup.loading import Served
    from groundup.tokenizers import Tokenizer


@click.command(
    epilog="""\b
Examples:
  groundup generate runs/quickstart "def mean(values):"
  echo "import os" | groundup generate runs/quickstart -
  groundup generate runs/quickstart --prompts prompts.jsonl --out answers.jsonl
  groundup generate runs/quickstart "def " --regex '[a-z_]+\\([a-z, ]*\\):' --draft lookup"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("prompt", required=False)
@click.option(
    "--prompts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Lines such as {"prompt": "…"} or {"messages": […]}, to be answered into --out.',
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to.")
@click.option(
    "--stage", type=click.Choice(["base", "sft", "grpo"]), default="base", show_default=True
)
@click.option("--temperature", type=float, default=0.8, show_default=True)
@click.option("--top-p", type=float, default=1.0, show_default=True)
@click.option("--max-tokens", type=int, default=128, show_default=True)
@click.option("--stop", multiple=True, metavar="TEXT", help="Ends an answer; repeatable.")
@click.option("--regex", help="What an answer must look like, as a whole.")
@click.option(
    "--schema",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of JSON Schema: answers are values that it allows.",
)
@click.option(
    "--draft",
    metavar="lookup|MODEL[:STAGE]",
    help="What guesses the next tokens: the text itself, or a smaller model. In float32 answers "
    "stay as they are.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="With --prompts: print figures as JSON.")
def command(
    model: Path,
    prompt: str | None,
    prompts: Path | None,
    out: Path | None,
    stage: str,
    temperature: float,
    top_p: float,
    max_tokens: int,
    stop: tuple[str, ...],
    regex: str | None,
    schema: Path | None,
    draft: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Continue PROMPT with MODEL, a run or a directory of Hugging Face; `-` reads it from standard
    input. Or answer a file of prompts, in its order; killed, it goes on where it was."""
    from groundup.core.device import select_device, tune_cpu
    from groundup.infer import Engine
    from groundup.infer.engine import ROWS
    from groundup.loading import load_drafter, load_served

    if (prompt is None) == (prompts is None) or (prompts is None) != (out is None):
        raise click.UsageError("give a PROMPT, or a file of --prompts and --out.")
    sampling = sampling_of(max_tokens, temperature, seed, top_p)
    text = _standard_input() if prompt == "-" else prompt
    if regex is not None and schema is not None:
        raise click.UsageError("--regex and --schema are two forms: give one.")
    tune_cpu()
    served, device = load_served(model, stage), select_device()
    sampling = replace(sampling, grammar=_grammar(served, regex, schema))
    engine = Engine(
        served.model,
        device,
        stop=served.ends,
        never=served.silent,
        drafter=None if draft is None else load_drafter(draft, served, device, ROWS),
    )
    if prompts is not None and out is not None:
        how = {"model": model_files(model), "stage": stage, "stop": stop, "regex": regex}
        how |= {"schema": schema and schema.read_text(encoding="utf-8")}
        how |= {"tokenizer": served.tokenizer.fingerprint, "template": served.template}
        how |= {k: v for k, v in vars(sampling).items() if k != "grammar"}
        _answer(engine, served, prompts, out, sampling, stop, how, as_json=as_json)
    elif text is not None:
        tokens = served.prompt(text)
        print_stream(engine, served.tokenizer, tokens, sampling, opening=text, stop=stop)


def _standard_input() -> str:
    from groundup.core.errors import InputError

    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"standard input is no UTF-8 ({error}): convert it first.") from error


def _grammar(served: "Served", regex: str | None, schema: Path | None) -> "TokenGrammar | None":
    """The form of answers that is asked for."""
    from groundup.core.files import read_json
    from groundup.infer.grammar import Grammars

    grammars = Grammars(served.tokenizer, served.model.config.vocab_size, served.ends)
    if regex is not None:
        return grammars.regex(regex)
    return None if schema is None else grammars.schema(read_json(schema))


def model_files(model: Path) -> list[list[object]]:
    """The files of a model's weights, and when they were written: what tells it from another."""
    files = sorted(path for path in model.resolve().rglob("*.safetensors"))
    return [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def sampling_of(max_tokens: int, temperature: float, seed: int, top_p: float = 1.0) -> "Sampling":
    """The options as a config; a wrong one is a usage error."""
    from groundup.infer import Sampling

    try:
        return Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed, top_p=top_p)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def print_stream(
    engine: "Engine",
    tokenizer: "Tokenizer",
    prompt: Sequence[int],
    sampling: "Sampling",
    opening: str = "",
    stop: Sequence[str] = (),
) -> None:
    """Print `opening`, and a completion as it is drawn, whole characters at a time.

    What a model writes is untrusted: control characters are shown and not obeyed.
    """
    from groundup.infer.text import Writer
    from groundup.report.formats import visible

    writer = Writer(tokenizer, stop)
    tokens = engine.stream(prompt, sampling)
    click.echo(opening, nl=False)
    for token in tokens:
        click.echo(visible(writer.push(token)), nl=False)
        sys.stdout.flush()
        if writer.stopped:
            break
    click.echo(visible(writer.finish()))


def _answer(
    engine: "Engine",
    served: "Served",
    prompts: Path,
    out: Path,
    sampling: "Sampling",
    stop: Sequence[str],
    how: "Record",
    *,
    as_json: bool,
) -> None:
    from groundup.core.errors import InputError
    from groundup.core.progress import make_console, progress_bar
    from groundup.infer.batch import answer_file

    def encode(record: dict[str, Any]) -> list[int]:
        text, messages = record.get("prompt"), record.get("messages")
        if isinstance(text, str):
            return served.prompt(text)
        if not isinstance(messages, list):
            raise InputError('it has neither a "prompt", a string, nor "messages", a list')
        said = []
        for message in messages:
            one = message if isinstance(message, dict) else {}
            role, content = one.get("role"), one.get("content")
            if not (isinstance(role, str) and isinstance(content, str)):
                raise InputError('a message has no "role" or no "content" that is a string')
            said.append({"role": role, "content": content})
        return served.conversation(said)

    with prompts.open("rb") as lines:
        total = sum(1 for _ in lines)
    with progress_bar(make_console(), "answering", total) as advance:
        done = answer_file(
            engine,
            served.tokenizer,
            prompts,
            out,
            encode,
            sampling,
            stop=stop,
            how=how,
            advance=advance,
        )
    rate = done.tokens / done.seconds if done.seconds else 0.0
    if as_json:
        click.echo(json.dumps({**vars(done), "tokens_per_second": rate}))
    else:
        click.echo(
            f"{done.prompts} prompts answered in {out}, {done.resumed} of them before; "
            f"{done.tokens:,} tokens in {done.seconds:.1f} s, {rate:,.0f} a second."
        )
        if done.failed:
            click.echo(f'{done.failed} failed: see "error" in their lines.', err=True)
