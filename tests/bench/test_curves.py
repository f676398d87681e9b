"""The drawing of rates over sizes shows what was measured at several, and nothing else."""

from pathlib import Path
from typing import Any

from groundup.bench.curves import plot_curves
from groundup.bench.result import OURS, row


def rate(operation: str, size: int, subject: str, value: float) -> dict[str, Any]:
    measured = row(f"{operation}, {size}", subject, "rate", "GB/s", [value], higher=True)
    return {**measured, "operation": operation, "axis": "row length", "size": size}


def test_every_operation_with_several_sizes_has_a_panel(tmp_path: Path) -> None:
    rows = [
        *(rate("norm", size, OURS, 90.0) for size in (1024, 4096)),
        *(rate("norm", size, "torch", 40.0) for size in (1024, 4096)),
        *(rate("norm", size, "memory", 100.0) for size in (1024, 4096)),
        rate("gate", 1024, OURS, 90.0),
        row("norm, 1024", OURS, "time", "ms", [1.0], higher=False),
    ]
    limits = [{"name": "memory", "value": 100.0, "unit": "GB/s"}]
    plot_curves({"rows": rows, "limits": limits}, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    for text in ("norm", OURS, "torch", "the limit: memory", "row length", "GB/s", "1 Ki", "4 Ki"):
        assert f">{text}</text>" in drawn
    assert ">gate</text>" not in drawn
