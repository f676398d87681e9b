"""The command line: one file a subcommand, which parses its arguments and calls the library.

A subcommand's file is imported when it is called (`lazy_group`), so that `groundup --help` never
waits for torch.
"""

import io
import sys

import click

from groundup import __version__
from groundup.cli.lazy_group import LazyGroup
from groundup.core.errors import GroundupError, os_error_sentence
from groundup.core.terminate import Terminated

_COMMANDS = {
    "quickstart": "Train, align and measure a model: the whole pipeline, for a budget.",
    "train": "Train one model on documents, for a budget.",
    "watch": "Follow a training that goes on.",
    "chat": "Talk to the model of a run.",
    "generate": "Continue a prompt with the model of a run.",
    "serve": "Serve a model behind OpenAI's API.",
    "curate": "Make a training corpus of raw documents, and see what was left out.",
    "data": "Make of documents what a training reads.",
    "tokenizer": "Train tokenizers, compare them, and see what they make of a text.",
    "report": "Write a run's report again, and say where it is.",
    "import": "Make a run of a model in Hugging Face's format.",
    "export": "Write the model of a run in Hugging Face's format.",
    "ablate": "Train variants of a recipe with the same budget, and compare them.",
    "ladder": "Train the field's history with one budget, and draw it.",
    "scale": "Find the best model and data for a budget, from small trainings.",
    "profile": "Measure where a recipe's training step spends time and memory.",
    "plan-cluster": "Say what a training would take on many GPUs: memory, communication, time.",
    "coordinates": "Check that learning rates transfer across width.",
    "bench": "Measure this machine and groundup, side by side with its peers.",
}


@click.group(
    cls=LazyGroup,
    summaries=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
def cli() -> None:
    """Build language models from the ground up: raw documents in, an aligned model out."""


def main() -> None:
    """The `groundup` command. Exit codes: 0 done, 2 bad input, 130 interrupted, 143 terminated."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # what its encoding lacks is shown as \\u2026
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code if error.exit_code != 1 else 2)
    except GroundupError as error:
        _fail(str(error), 2)
    except OSError as error:
        _fail(os_error_sentence(error), 2)
    except Terminated:
        _fail("terminated, and saved; run the same command again to go on.", 143)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted; run the same command again to go on.", 130)


def _fail(sentence: str, code: int) -> None:
    click.echo(f"groundup: {sentence}", err=True)
    sys.exit(code)
