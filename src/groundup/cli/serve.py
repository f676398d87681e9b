"""`groundup serve`."""

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from groundup.infer.weights import Weights

_KEY = "GROUNDUP_API_KEY"


@click.command(
    epilog=f"""\b
Examples:
  groundup serve runs/quickstart
  {_KEY}=secret groundup serve runs/quickstart --host 0.0.0.0 --port 80
  curl localhost:8000/v1/completions -H 'content-type: application/json' \\
    -d '{{"model": "quickstart", "prompt": "def mean(values):", "max_tokens": 40}}'"""
)
@click.argument("model", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--stage", type=click.Choice(["base", "sft", "grpo"]), help="Default: the last.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option(
    "--api-key",
    envvar=_KEY,
    help=f"What every request must show. Better given as {_KEY}, which no list of processes shows.",
)
@click.option("--insecure", is_flag=True, help="Let others than this machine in without a key.")
@click.option(
    "--weights",
    type=click.Choice(["compute", "int8"]),
    default="compute",
    show_default=True,
    help="In what matrices are held: int8 takes half of the memory.",
)
@click.option("--rows", type=click.IntRange(1), default=256, help="Texts that are written at once.")
@click.option("--requests", type=click.IntRange(1), default=512, help="Requests open at once.")
@click.option(
    "--memory", help="Of keys and values, such as 4G. Default: a quarter of what is free."
)
def command(
    model: Path,
    stage: str | None,
    host: str,
    port: int,
    api_key: str | None,
    insecure: bool,
    weights: "Weights",
    rows: int,
    requests: int,
    memory: str | None,
) -> None:
    """Serve MODEL, a run or a directory of Hugging Face, behind OpenAI's API.

    /v1/models, /v1/completions, /v1/chat/completions, /tokenize, /detokenize, /health, /metrics.
    """
    from groundup.core.device import select_device, tune_cpu
    from groundup.core.errors import MissingExtraError

    api_key = None if api_key is None else api_key.strip()
    if api_key is not None and not (api_key and api_key.isascii()):
        raise click.UsageError(f"the API key is empty or not ASCII: set {_KEY} to another secret.")
    if api_key is None and not insecure and not _loopback(host):
        raise click.UsageError(
            f"{host} lets other machines in: set {_KEY} to a secret that they must show, or say "
            "--insecure."
        )
    try:
        import uvicorn

        from groundup.serve import Limits, create_app, load_served
    except ImportError as error:
        raise MissingExtraError("Serving", "serve") from error
    tune_cpu()
    served = load_served(model, stage)
    limits = Limits(rows=rows, requests=requests, memory=_bytes(memory))
    app = create_app(served, select_device(), key=api_key, limits=limits, weights=weights)
    click.echo(f"{served.name} at http://{host}:{port}/v1; Ctrl-C ends.", err=True)
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=30)


def _loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bytes(size: str | None) -> int | None:
    if size is None:
        return None
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = size[:-1], units.get(size[-1:].upper())
    if unit is None:
        number, unit = size, 1
    try:
        return int(float(number) * unit)
    except (ValueError, OverflowError):
        raise click.UsageError(f"--memory {size} is no size: write 500M or 4G.") from None
