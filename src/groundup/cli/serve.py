"""`groundup serve`."""

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import uvicorn

    from groundup.infer.weights import Weights
    from groundup.tokenizers import Tokenizer

_KEY = "GROUNDUP_API_KEY"
# Seconds after Ctrl-C: until texts that are being written are ended, which is told to who waits for
# them; and until connections are closed, whatever is still on its way.
_ENDED, _CLOSED = 25, 30


@click.command(
    epilog=f"""\b
Examples:
  groundup serve runs/quickstart
  groundup serve runs/quickstart:base runs/quickstart:sft runs/quickstart:grpo
  {_KEY}=secret groundup serve runs/quickstart --host 0.0.0.0 --port 80
  curl localhost:8000/v1/completions -H 'content-type: application/json' \\
    -d '{{"model": "quickstart", "prompt": "def mean(values):", "max_tokens": 40}}'"""
)
@click.argument("models", metavar="MODEL[:STAGE]...", nargs=-1, required=True)
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
@click.option(
    "--draft",
    metavar="lookup|MODEL[:STAGE]",
    help="What guesses the next tokens, so that several are written at once: the text itself, or a "
    "smaller model with the same tokenizer. In float32 the texts stay the same.",
)
@click.option(
    "--tokenizer",
    "tokenizers",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Another one for the tokenizers' page: its folder, the run that has it, or one of "
    "tiktoken's files, such as cl100k_base.tiktoken; repeatable.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Runs whose curves are shown. Default: the folder in which MODEL, a run, is.",
)
@click.option("--rows", type=click.IntRange(1), default=256, help="Texts that are written at once.")
@click.option("--requests", type=click.IntRange(1), default=512, help="Requests open at once.")
@click.option(
    "--memory",
    help="Of keys and values of all models, such as 4G. Default: a quarter of what is free.",
)
def command(
    models: tuple[str, ...],
    host: str,
    port: int,
    api_key: str | None,
    insecure: bool,
    weights: "Weights",
    draft: str | None,
    tokenizers: tuple[Path, ...],
    runs: Path | None,
    rows: int,
    requests: int,
    memory: str | None,
) -> None:
    """Serve each MODEL, a run, a checkpoint of one or a directory of Hugging Face, behind OpenAI's
    API, and on pages.

    The pages: chat at /, /compare, /tokenizer, /runs. The API: /v1/models, /v1/completions,
    /v1/chat/completions, /tokenize, /detokenize, /health, /metrics. A run's STAGE is base, sft or
    grpo; by default it is the last one.
    """
    from groundup.core.device import select_device, tune_cpu
    from groundup.core.errors import InputError, MissingExtraError
    from groundup.loading import load_served, split_stage

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

        from groundup.serve import Limits, Offer, create_app
    except ImportError as error:
        raise MissingExtraError("Serving", "serve") from error
    tune_cpu()
    app = create_app(
        [load_served(*split_stage(model)) for model in models],
        select_device(),
        key=api_key,
        hosts=None if api_key else {"localhost", socket.gethostname().lower(), host.lower()},
        limits=Limits(rows=rows, requests=requests, memory=_bytes(memory)),
        offer=Offer(
            tokenizers=_named(tokenizers), runs=runs or _runs_of(split_stage(models[0])[0])
        ),
        weights=weights,
        draft=draft,
    )
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=_CLOSED
    )
    server = uvicorn.Server(config)
    _end_in_time(server, app.state.leave)
    started = server.startup

    async def startup(sockets: list[Any] | None = None) -> None:
        try:
            await started(sockets)
        except SystemExit as error:
            if server.lifespan.should_exit:
                raise InputError("the models could not be started: see above.") from error
            raise InputError(
                f"{host}:{port} cannot be had: give another --port, or another --host."
            ) from error
        if server.started:  # the port is known, and bound
            name, bound = server.servers[0].sockets[0].getsockname()[:2]
            at = f"[{name}]:{bound}" if ":" in name else f"{name}:{bound}"
            click.echo(f"{', '.join(models)}: open http://{at}; Ctrl-C ends.", err=True)

    server.startup = startup
    with suppress(KeyboardInterrupt):  # after all has been brought to an end
        server.run()


def _end_in_time(server: "uvicorn.Server", leave: Callable[[], None]) -> None:
    """Let a server that stops end its texts before it closes the connections."""
    import asyncio

    ended = server.shutdown

    async def shutdown(sockets: list[socket.socket] | None = None) -> None:
        timer = asyncio.get_running_loop().call_later(_ENDED, leave)
        await ended(sockets)
        timer.cancel()

    server.shutdown = shutdown


def _runs_of(model: Path) -> Path | None:
    """The folder in which a run is."""
    path = model.resolve()
    return path.parent if any(path.glob("*/metrics.jsonl")) else None


def _named(paths: tuple[Path, ...]) -> dict[str, "Tokenizer"]:
    """Tokenizers by the names of their folders or runs, and bytes, which every text has."""
    from groundup.infer.load import TOKENIZER
    from groundup.tokenizers import Bytes, load_encoding, load_tokenizer

    found: dict[str, Tokenizer] = {"bytes": Bytes()}
    for path in paths:
        folder = path / TOKENIZER if (path / TOKENIZER).is_dir() else path
        file = folder / "tokenizer.json" if folder.is_dir() else folder
        of = file.resolve().parent
        of = of.parent if of.name == TOKENIZER else of
        name = of.name if file.name == "tokenizer.json" else file.stem
        if name in found:
            raise click.UsageError(f"two tokenizers are called {name!r}: rename a folder.")
        found[name] = (load_encoding if file.suffix == ".tiktoken" else load_tokenizer)(file)
    return found


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
        wanted = int(float(number) * unit)
    except (ValueError, OverflowError):
        wanted = 0
    if wanted <= 0:
        raise click.UsageError(f"--memory {size} is no size: write 500M or 4G.")
    return wanted
