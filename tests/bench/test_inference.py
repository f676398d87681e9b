"""The benchmarks of generation and of serving have the promised form."""

import dataclasses
import json

import pytest
import torch

from groundup.bench import inference
from groundup.bench.inference import BYTES, PEER, bench_inference
from groundup.bench.result import OURS
from groundup.bench.serving import bench_serving
from groundup.core.device import Device
from groundup.layers import GLU


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


def test_decoding_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, of a smaller model."""
    large = inference._LARGE
    small = dataclasses.replace(
        large,
        vocab_size=17_000,
        context=64,
        width=64,
        depth=2,
        attention=dataclasses.replace(large.attention, heads=4, kv_heads=2, head_width=16),
        mlp=GLU(hidden=128),
    )
    monkeypatch.setattr(inference, "_LARGE", small)
    monkeypatch.setattr(inference, "_DECODED", 8)
    device = Device(torch.device("cpu"), torch.bfloat16)
    rows = inference._large_rows(device, 1, inference._prompts())
    texts = [(row["subject"], row["case"].split()[3]) for row in rows if row["metric"] == "rate"]
    assert texts == [(OURS, "1"), (OURS, "8"), (OURS, "32"), (BYTES, "1")]
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.slow
def test_no_request_of_a_load_fails() -> None:
    result = bench_serving(quick=True)
    failed = [row["value"] for row in result["rows"] if row["metric"] == "failed"]
    assert failed == [0, 0]
    assert {row["metric"] for row in result["rows"]} >= {"rate", "first token, median"}
    json.dumps(result)
