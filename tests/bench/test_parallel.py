"""The benchmark of several processes has the promised form, and sends the formula's bytes."""

import json

import pytest

from groundup.bench.parallel import bench_parallel
from groundup.bench.result import OURS
from groundup.bench.sent import COUNTED


@pytest.mark.slow
def test_every_way_is_timed_beside_pytorch() -> None:
    result = bench_parallel(quick=True)
    rows = {(row["case"], row["subject"], row["metric"]): row["value"] for row in result["rows"]}
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
    json.dumps(result)
