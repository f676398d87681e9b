"""`groundup plan-cluster`."""

import json
import re
from typing import Any

import click

_FIXED = "shard|replicas|tensor|pipeline|context|interleaved|micro_batches|rows|recompute"


@click.command(
    epilog="""\b
Examples:
  groundup plan-cluster --params 70e9 --gpus 512 --tokens 15e12
  groundup plan-cluster --model llama-3.1-8b --gpus 8 --gpu h200 --sequences 16
  groundup plan-cluster --params 70e9 --gpus 256 --fix tensor=8 --fix recompute=blocks"""
)
@click.option("--params", type=float, help="Weights of a model with the proportions of Llama 3.")
@click.option("--model", "preset", help="A published model instead, such as llama-3.1-70b.")
@click.option("--gpus", type=click.IntRange(1), required=True)
@click.option(
    "--gpu",
    type=click.Choice(["h100", "h100-500w", "h200", "a100"]),
    default="h100",
    show_default=True,
)
@click.option(
    "--context", type=click.IntRange(1), default=8192, show_default=True, help="Tokens a sequence."
)
@click.option("--sequences", type=click.IntRange(1), help="Of a step. Default: two for each GPU.")
@click.option("--tokens", type=float, help="Of the whole training: how long it would take.")
@click.option("--eight-bits", is_flag=True, help="Products of the blocks' matrices in 8 bits.")
@click.option(
    "--fix",
    "fixes",
    metavar="NAME=VALUE",
    multiple=True,
    help=f"Keep to a way, such as tensor=8; repeatable. Of {_FIXED.replace('|', ', ')}.",
)
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Rows shown.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    params: float | None,
    preset: str | None,
    gpus: int,
    gpu: str,
    context: int,
    sequences: int | None,
    tokens: float | None,
    eight_bits: bool,
    fixes: tuple[str, ...],
    top: int,
    as_json: bool,
) -> None:
    """Say what a training would take on many GPUs, by a model of costs; nothing is run.

    All ways to lay it over the GPUs that fit in their memory are compared, the fastest first. The
    model and how it fares against published measurements: docs/systems.md.
    """
    from groundup.core.errors import InputError
    from groundup.models import Decoder
    from groundup.models.families import PRESETS
    from groundup.report.cluster import print_plans
    from groundup.scaling.accelerators import ACCELERATORS
    from groundup.scaling.cluster_plan import llama_of, plan_cluster, summarize

    if (params is None) == (preset is None):
        raise InputError("give one of --params and --model.")
    if preset is not None:
        model = PRESETS.get(preset)
        if not isinstance(model, Decoder):
            names = ", ".join(name for name in PRESETS if name.startswith("llama-3"))
            raise InputError(f"'{preset}' is no decoder that is known: try one of {names}.")
    else:
        assert params is not None
        if not 5e8 <= params <= 1e14:
            raise InputError(f"--params {params:g}: choose from 5e8 to 1e14.")
        model = llama_of(params)
    accelerator = ACCELERATORS[gpu]
    plans = plan_cluster(
        model,
        context,
        gpus,
        accelerator,
        sequences=sequences or 2 * gpus,
        eight_bits=eight_bits,
        fixed=_fixed(fixes),
    )
    result = summarize(model, plans[:top], accelerator, tokens)
    if as_json:
        click.echo(json.dumps(result))
    else:
        print_plans(result)


def _fixed(fixes: tuple[str, ...]) -> dict[str, Any]:
    """What was fixed, by name."""
    found: dict[str, Any] = {}
    for fix in fixes:
        name, _, value = fix.partition("=")
        anew = name == "recompute" and value in ("nothing", "half", "blocks")
        number = name != "recompute" and re.fullmatch("[1-9][0-9]{0,8}", value)
        if not (re.fullmatch(_FIXED, name) and (anew or number)):
            raise click.UsageError(
                f"--fix {fix} says nothing: write a name and a value, such as tensor=8 or "
                "recompute=blocks (nothing, half, blocks)."
            )
        found[name] = value if anew else int(value)
    return found
