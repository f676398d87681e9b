"""The benchmark of fused operations has the promised form."""

import json

import pytest

from groundup.bench.kernels import bench_kernels
from groundup.bench.result import OURS
from groundup.kernels.cpu import HAS_LOOPS


@pytest.mark.skipif(not HAS_LOOPS, reason="the compiled core has no loops here")
def test_every_operation_is_timed_beside_torchs_and_the_memory() -> None:
    result = bench_kernels(quick=True)
    cases = {row["case"].split(",")[0] for row in result["rows"]}
    assert cases == {
        "RMSNorm",
        "cross-entropy",
        "SwiGLU's gate",
        "causal softmax",
        "shift",
        "dropout",
    }
    assert {row["subject"] for row in result["rows"]} == {OURS, "torch", "memory, in place"}
    rates = [row for row in result["rows"] if row["metric"] == "rate"]
    for operation in ("RMSNorm, float32", "cross-entropy, bfloat16"):
        assert len({row["size"] for row in rates if row["operation"] == operation}) == 4
    assert all(row["value"] > 0 for row in result["rows"])
    json.dumps(result)
