"""The benchmark of several processes has the promised form, and sends the formula's bytes."""

import json
import os
from pathlib import Path

import pytest

from groundup.bench.curves import plot_curves
from groundup.bench.exchanges import LIMIT, bench_exchanges, limits
from groundup.bench.parallel import bench_parallel
from groundup.bench.planned import planned_seconds
from groundup.bench.result import OURS
from groundup.bench.sent import COUNTED
from groundup.core.spawn import Workers
from groundup.scaling.cluster import Composition, size_of
from groundup.scaling.plan import decoder_of_size


@pytest.mark.slow
def test_every_way_is_timed_beside_pytorch() -> None:
    result = bench_parallel(quick=True)
    steps_of = [row for row in result["rows"] if "size" not in row]
    rows = {(row["case"], row["subject"], row["metric"]): row["value"] for row in steps_of}
    cases = {case.split(",")[0] for case, _, _ in rows}
    beside_torch = {"data parallel", "sharded optimizer", "sharded weights"}
    cut = {"rows", "tensor parallel", "pipeline", "context parallel", "expert parallel"}
    assert cases == beside_torch | cut
    for case in cases:
        name = f"{case}, 2 processes"
        steps = [key for key in rows if key[0] == name and key[2] == "a step"]
        assert len(steps) >= (1 if case in ("rows", "context parallel") else 2)
        assert all(rows[key] > 0 for key in steps)
        if COUNTED:
            formula = rows[name, OURS, "by the formula"]
            assert rows[name, OURS, "sent"] == pytest.approx(
                formula, rel=0.1 if case.startswith("expert") else 0.02
            )
    told = {key[0].split(",")[0]: value for key, value in rows.items() if key[2] == "planned"}
    if (os.cpu_count() or 1) >= 2:  # with less, exchanges are not what a step waits for
        assert told.keys() == {"rows", "tensor parallel", "pipeline", "context parallel"}
        assert told["rows"] == pytest.approx(rows["rows, 2 processes", OURS, "a step"])
    json.dumps(result)


def test_a_plan_of_what_was_measured_is_the_measurement() -> None:
    """And of the other ways by hand: a stage's share, and what is sent."""
    model = decoder_of_size(4, 4096, context=256)
    ways = {
        "rows": Composition(replicas=2, rows=2),
        "alone": Composition(rows=2),
        "shared": Composition(shard=2, rows=2),
    }
    found = planned_seconds(model, 256, ways, "rows", 0.5, 1e9)
    assert found["rows"] == pytest.approx(0.5)
    sent = 4 * size_of(model) / 1e9
    assert found["alone"] == pytest.approx(0.5 - sent)
    blocks = size_of(model) - 2 * 4096 * model.width
    assert found["shared"] == pytest.approx(0.5 - sent + 6 * blocks / 1e9)


@pytest.mark.slow
def test_exchanges_are_timed_over_sizes_beside_pytorch_and_sockets(tmp_path: Path) -> None:
    with Workers(2) as workers:
        rows = bench_exchanges(workers, quick=True)
    found = {(row["operation"], row["size"], row["subject"]): row["value"] for row in rows}
    operations = {"sums in each process", "parts of the sums", "parts from all", "to the next one"}
    assert {operation for operation, _, _ in found} == operations
    for operation in operations:
        sizes = {size for name, size, subject in found if (name, subject) == (operation, OURS)}
        assert len(sizes) == 3
        for size in sizes:
            assert found[operation, size, OURS] > 0
            assert found[operation, size, LIMIT] > 0
            assert ((operation, size, "torch") in found) == (operation != "to the next one")
    (limit,) = limits(rows)
    assert limit["value"] == max(found[o, size, s] for o, size, s in found if s == LIMIT)
    plot_curves({"rows": rows, "limits": [limit]}, tmp_path / "exchanges.svg")
    drawn = (tmp_path / "exchanges.svg").read_text()
    assert all(operation in drawn for operation in operations)
