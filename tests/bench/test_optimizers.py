"""The benchmark of optimizers has the promised form."""

import json

import pytest

from groundup.bench.optimizers import bench_optimizers
from groundup.bench.result import OURS


@pytest.mark.slow
def test_every_optimizer_is_timed_and_element_wise_ones_beside_the_memory() -> None:
    result = bench_optimizers(quick=True)
    cases = {row["case"].split(",")[0] for row in result["rows"] if row["subject"] == OURS}
    assert cases == {"AdamW", "Adam", "Lion", "ScheduleFreeAdamW", "Muon", "SOAP"}
    shares = [row for row in result["rows"] if row["metric"] == "of the memory's time"]
    assert {row["subject"] for row in shares} == {OURS, "torch, fused", "torch, loop"}
    assert all(row["value"] > 0 for row in result["rows"])
    json.dumps(result)
