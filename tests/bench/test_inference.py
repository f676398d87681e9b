"""The benchmarks of generation and of serving have the promised form."""

import json

import pytest

from groundup.bench.inference import BYTES, PEER, bench_inference
from groundup.bench.result import OURS
from groundup.bench.serving import bench_serving


@pytest.mark.slow
def test_generation_is_measured_beside_transformers() -> None:
    pytest.importorskip("transformers")
    result = bench_inference(quick=True)
    rates = [row for row in result["rows"] if row["metric"] == "rate"]
    assert {row["subject"] for row in rates} == {OURS, BYTES, PEER}
    assert len({row["case"] for row in rates}) == 6
    shares = [row["value"] for row in result["rows"] if "memory" in row["metric"]]
    assert all(0 < share <= 1.5 for share in shares)  # the memory's rate changes within a minute
    json.dumps(result)


@pytest.mark.slow
def test_no_request_of_a_load_fails() -> None:
    result = bench_serving(quick=True)
    failed = [row["value"] for row in result["rows"] if row["metric"] == "failed"]
    assert failed == [0, 0]
    assert {row["metric"] for row in result["rows"]} >= {"rate", "first token, median"}
    json.dumps(result)
