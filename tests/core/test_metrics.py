"""metrics.jsonl survives kills and forgets what lies beyond a checkpoint."""

from pathlib import Path

import pytest

from groundup.core.errors import ArtifactError
from groundup.core.metrics import MetricsWriter, read_metrics


def test_records_come_back_in_order(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path / "m.jsonl") as metrics:
        metrics.write(step=1, loss=2.5)
        metrics.write(step=2, loss=float("nan"))
    assert read_metrics(tmp_path / "m.jsonl") == [
        {"step": 1, "loss": 2.5},
        {"step": 2, "loss": None},
    ]


def test_an_unfinished_last_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"step": 1}\n{"step": 2')
    assert read_metrics(tmp_path / "m.jsonl") == [{"step": 1}]


def test_resuming_drops_what_was_written_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    with MetricsWriter(path, keep=lambda record: record["step"] <= 2) as metrics:
        metrics.write(step=3)
    assert [record["step"] for record in read_metrics(path)] == [1, 2, 3]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"step": 1}\n{"step": \n')
    with pytest.raises(ArtifactError, match="line 2 is damaged"):
        read_metrics(tmp_path / "m.jsonl")


def test_no_file_means_no_records(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "none.jsonl") == []
