"""Benchmarks: the form of a result, and refusing a folder that is no nanoGPT."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from groundup.bench import train
from groundup.bench.result import machine_is_idle, print_result, row, versions
from groundup.bench.train import bench_train
from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.layers import GLU


def test_a_row_is_the_median_and_half_the_range() -> None:
    got = row("case", "groundup", "throughput", "tokens/s", [3.0, 1.0, 2.0], higher=True)
    assert (got["value"], got["spread"], got["higher_is_better"]) == (2.0, 1.0, True)


def test_the_table_shows_the_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        row("c", name, "throughput", "tokens/s", [value], higher=True)
        for name, value in (("groundup", 300.0), ("peer", 150.0))
    ]
    limits = [{"name": "matrix product", "value": 2000.0, "unit": "GFLOP/s"}]
    print_result({"bench": "x", "rows": rows, "limits": limits, "idle": False})
    shown = capsys.readouterr().out
    assert "150 2.00×" in shown
    assert "matrix product" in shown
    assert "do not quote it" in shown


def test_versions_leave_out_what_is_not_installed() -> None:
    found = versions("torch", "no-such-package")
    assert set(found) == {"python", "torch"}


def test_idleness_is_known_on_linux() -> None:
    expected = {True, False} if Path("/proc/stat").exists() else {None}
    assert machine_is_idle(0.05) in expected


@pytest.mark.slow
def test_a_quick_measurement_has_the_promised_form(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkout of nanoGPT"):
        bench_train(tmp_path, quick=True)
    result = bench_train(None, quick=True)
    assert set(result) == {"bench", "machine", "versions", "idle", "rows", "limits"}
    share = next(r for r in result["rows"] if r["metric"] == "share of the matrix rate")
    assert 0 < share["value"] <= 1
    json.dumps(result)


@pytest.mark.slow  # compiles
def test_a_gpu_s_measurement_has_the_promised_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of smaller models, on a processor."""
    for name in ("_SMALL", "_LARGE"):
        model = getattr(train, name)
        attention = dataclasses.replace(model.attention, heads=2, kv_heads=2, head_width=16)
        small = dataclasses.replace(
            model,
            vocab_size=64,
            context=16,
            width=32,
            depth=2,
            attention=attention,
            mlp=GLU(hidden=64),
        )
        monkeypatch.setattr(train, name, small)
    result = train._on_gpu(Device(torch.device("cpu"), torch.float32), 3)
    assert [row["metric"] for row in result["rows"]] == 2 * [
        "throughput",
        "share of the matrix rate",
    ]
    assert all(row["value"] > 0 for row in result["rows"])
    json.dumps(result)
