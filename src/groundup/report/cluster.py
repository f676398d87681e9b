"""What a training would take on a cluster, on the terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from groundup.report.formats import percent, quantity


def print_plans(result: dict[str, Any]) -> None:
    """Print what `scaling.cluster_plan.summarize` returns to standard output."""
    console = Console(highlight=False)
    best = result["plans"][0]
    console.print(
        f"{quantity(result['weights'])} weights ({result['layers']} layers of {result['width']}), "
        f"{best['gpus']} × {result['gpu']['name']}, {best['tokens']:,} tokens a step"
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    columns = ["shard", "copies", "tensor", "stages", "context", "batches", "anew"]
    columns += ["tokens/s", "busy", "GB", "here"]
    for column in columns if best["days"] is None else [*columns, "days"]:
        table.add_column(column, justify="right", no_wrap=True)
    for plan in result["plans"]:
        c = plan["composition"]
        stages = f"{c['pipeline']} × {c['interleaved']}" if c["interleaved"] > 1 else c["pipeline"]
        table.add_row(
            *map(str, (c["shard"], c["replicas"], c["tensor"], stages, c["context"])),
            f"{c['micro_batches']} × {c['rows']}",
            c["recompute"],
            f"{plan['tokens_per_second_per_gpu']:,.0f}",
            percent(plan["utilisation"]),
            f"{plan['memory_bytes'] / 1e9:.0f}",
            "yes" if plan["here"] else "no",
            *(() if plan["days"] is None else (f"{plan['days']:.1f}",)),
        )
    console.print(table)
    console.print(
        "stages: of the pipeline, and of each GPU. batches: micro-batches of a step, and sequences "
        "of each. anew: what the backward pass computes again. tokens/s: of a GPU. busy: with "
        "useful products. here: whether groundup train can lay a training so."
    )
    for title, parts, unit, scale in (
        ("Seconds of a step, of the first", best["seconds"], "s", 1.0),
        ("What a GPU sends in a step", best["sent"], "GB", 1e9),
        ("Memory of a GPU", best["memory"], "GB", 1e9),
    ):
        shown = [f"{name} {size / scale:.2f}" for name, size in parts.items() if size]
        console.print(f"{title}, in {unit}: {', '.join(shown)}.", soft_wrap=True)
