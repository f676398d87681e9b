"""What is seen of a training follows from its records, and each record is passed on once."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from groundup.core.errors import MissingExtraError
from groundup.report.dashboard import dashboard, sparkline
from groundup.report.followers import TensorBoard, WeightsAndBiases, pass_on

RECORDS: list[dict[str, Any]] = [
    {"step": step, "seconds": 2.0 * step, "tokens": 1000 * step, "loss": 5.0 - 0.1 * step}
    for step in range(1, 31)
]


def shown(records: list[dict[str, Any]], steps: int | None) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(dashboard("runs/a/pretrain", records, steps))
    return console.export_text()


def test_rate_and_time_left_follow_from_the_last_steps() -> None:
    """2 seconds and 1,000 tokens a step: 70 steps take 140 seconds."""
    text = shown(RECORDS, 100)
    assert "step 30 of 100" in text
    assert "500" in text
    assert "2 min 20 s" in text
    assert "4.900 → 2.000" in text


def test_a_refused_step_is_told_and_a_loss_that_is_none_left_out() -> None:
    bad = {"step": 31, "seconds": 62.0, "loss": None, "incident": "loss is nan", "action": "skip"}
    assert "step 31: loss is nan (skip)" in shown([*RECORDS, bad], None)
    assert "no step" in shown([], None)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 80))
def test_a_curve_fits_and_touches_both_ends(values: list[float], width: int) -> None:
    curve = sparkline(values, width)
    assert len(curve) == min(width, len(values))
    if len(values) <= width and max(values) > min(values):
        assert curve[values.index(max(values))] == "█"
        assert curve[values.index(min(values))] == "▁"


class Kept:
    def __init__(self) -> None:
        self.written: list[tuple[int, dict[str, float]]] = []

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.written.append((step, dict(values)))

    def close(self) -> None: ...


def test_each_record_is_passed_on_once_and_words_are_left_out() -> None:
    kept = Kept()
    done = pass_on(kept, RECORDS[:3], 0)
    done = pass_on(kept, [*RECORDS[:4], {"step": 5, "action": "skip", "loss": None}], done)
    assert done == 5
    assert [step for step, _ in kept.written] == [1, 2, 3, 4, 5]
    assert kept.written[-1][1] == {}
    assert kept.written[0][1] == {"seconds": 2.0, "tokens": 1000.0, "loss": 4.9}


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    writer = TensorBoard(tmp_path)
    pass_on(writer, RECORDS, 0)
    writer.close()
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [(event.step, round(event.value, 4)) for event in events] == [
        (record["step"], round(record["loss"], 4)) for record in RECORDS
    ]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"groundup\[wandb\]"):
        WeightsAndBiases("project", "name")
