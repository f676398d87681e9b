"""The options that say where tasks run, which several subcommands have."""

import functools
from collections.abc import Callable
from typing import Any

import click


def engine_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds `--workers`, `--engine` and `--ray-address`; of them `function` gets `engine`, the
    context of an `Engine`."""

    @click.option(
        "--workers", type=click.IntRange(min=1), help="Processes. Default: as many as processors."
    )
    @click.option(
        "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True
    )
    @click.option("--ray-address", help="Of a Ray cluster; `auto` for the one this machine is of.")
    @functools.wraps(function)
    def with_engine(
        *, workers: int | None, engine: str, ray_address: str | None, **rest: Any
    ) -> None:
        if ray_address and engine != "ray":
            raise click.UsageError("--ray-address is for --engine ray.")
        if workers and engine == "ray":
            raise click.UsageError("--workers is for --engine local: a cluster has its own number.")
        from groundup.curate.engines.local import Local
        from groundup.curate.engines.ray import Ray

        function(engine=Ray(ray_address) if engine == "ray" else Local(workers), **rest)

    return with_engine
