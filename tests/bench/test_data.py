"""The benchmark of data loading reads what it says it reads."""

import json
from pathlib import Path

import numpy as np
import pytest

from groundup.bench.data import _loader, _nanogpt, _ours, _write_store, bench_data
from groundup.bench.result import OURS
from groundup.data.shards import TokenShards
from groundup.data.windows import Windows


def test_every_way_gives_windows_of_the_same_tokens(tmp_path: Path) -> None:
    """A store whose tokens are their own places."""
    _write_store(tmp_path / "store", 60_000, 30_000)
    for number, start in enumerate((0, 30_000)):
        ids = np.arange(start, start + 30_000, dtype="<u2")
        ids.tofile(tmp_path / "store" / f"tokens-{number:05d}.bin")
    np.arange(60_000, dtype="<u2").tofile(tmp_path / "one.bin")
    windows = Windows(shards=TokenShards(tmp_path / "store", ""), context=1024, seed=0)
    block = next(iter(_loader(windows, workers=0)))
    pairs = [next(_ours(windows)), next(_nanogpt(tmp_path / "one.bin", 16, 1024))]
    for tokens, targets in [*pairs, (block[:, :-1], block[:, 1:])]:
        assert tokens.shape == targets.shape == (16, 1024)
        assert (targets == tokens + 1).all()
        assert (tokens[:, 1:] == targets[:, :-1]).all()
    *_, documents = next(_ours(windows, documents=True))
    tokens, targets = pairs[0]
    assert (documents == targets // 1000).all()


@pytest.mark.slow
def test_a_quick_measurement_has_the_promised_form() -> None:
    result = bench_data(quick=True)
    assert set(result) == {"bench", "machine", "versions", "idle", "rows", "limits"}
    kept = [r for r in result["rows"] if r["metric"] == "memory that it keeps"]
    assert next(r["value"] for r in kept if r["subject"] == OURS) < 1  # MB
    assert all(r["value"] >= 0 for r in result["rows"])
    json.dumps(result)
