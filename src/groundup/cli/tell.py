"""What a benchmark found, in the form that was asked for."""

import json
from typing import Any

import click


def tell(result: dict[str, Any], as_json: bool) -> None:
    """The result as one JSON object, or as tables, with what was not measured behind them."""
    if as_json:
        click.echo(json.dumps(result))
        return
    from groundup.bench.result import print_result

    print_result(result)
    for absent in result.get("absent", []):
        click.echo(f"not measured: {absent}")
