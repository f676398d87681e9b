"""The tables and plots of a profile hold every figure that was measured."""

from typing import Any
from xml.etree import ElementTree

import pytest

from groundup.report.profile import print_profile, roofline_svg, time_svg


def part(name: str, forward: float, backward: float, flops: float) -> dict[str, Any]:
    work = {"forward": flops, "backward": 2 * flops}
    rate = 3 * flops / (forward + backward)
    return {
        "part": name,
        "seconds": {"forward": forward, "backward": backward},
        "share": (forward + backward) / 0.2,
        "flops": work,
        "bytes": {"forward": 1e8, "backward": 2e8},
        "flops_per_second": rate,
        "share_of_peak": rate / 100e9,
    }


KINDS = {"weights": 11_000_000, "gradients": 11_000_000, "optimizer": 17_000_000}
RESULT: dict[str, Any] = {
    "idle": False,
    "peaks": {"flops_per_second": 100e9, "matrix_products": [99e9], "bytes_per_second": 10e9},
    "step": {
        "compiled": True,
        "seconds": 0.25,
        "phases": {"data": 0.001, "forward": 0.07, "backward": 0.13, "optimizer": 0.049},
        "tokens_per_second": 16384.0,
        "flops_per_second": 42e9,
        "share_of_peak": 0.42,
    },
    "parts": [
        {**part("positions", 0.001, 0.0, 0), "bytes": {"forward": 0, "backward": 0}},
        part("embedding", 0.001, 0.002, 0),
        part("GLU", 0.06, 0.137, 4e9),
    ],
    "memory": {
        "predicted": {**KINDS, "activations": 361_000_000},
        "measured": {**KINDS, "activations": 362_000_000, "process": 500_000_000},
    },
    "how": {key: f"how {key} are measured" for key in ("phases", "parts", "memory", "peaks")},
}


def test_the_tables_say_time_memory_and_utilisation(capsys: pytest.CaptureFixture[str]) -> None:
    print_profile(RESULT)
    shown = " ".join(capsys.readouterr().out.split())
    assert "A step takes 250 ms: 16.4 k tokens/s." in shown
    assert "utilisation is 42 %: 42.0 GFLOP/s of 100 GFLOP/s" in shown
    assert "By phase, compiled" in shown
    assert "backward 130 52 %" in shown
    # 12 GFLOP in 197 ms, 12 GFLOP of 300 MB
    assert "positions 1 0 0.5 % embedding 1 2 1.5 % GLU 60 137 98 % 12 60.9 61 % 40" in shown
    assert "activations 361 MB 362 MB" in shown
    assert "all 400 MB 500 MB" in shown
    assert all(how in shown for how in RESULT["how"].values())
    assert "do not quote it" in shown


def test_a_process_that_cannot_be_measured_has_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    memory = {**RESULT["memory"], "measured": {**RESULT["memory"]["measured"], "process": None}}
    print_profile({**RESULT, "memory": memory})
    assert "400 MB" not in capsys.readouterr().out


def test_the_roofline_has_a_point_for_each_way_through_a_part_that_multiplies() -> None:
    svg = roofline_svg(RESULT)
    ElementTree.fromstring(svg)
    for text in ("GLU forward 66.7 GFLOP/s", "GLU backward 58.4 GFLOP/s", "100 GFLOP/s", "10.0 GB"):
        assert text in svg
    assert "embedding" not in svg


def test_the_plot_of_time_has_the_step_and_every_part() -> None:
    svg = time_svg(RESULT)
    ElementTree.fromstring(svg)
    for text in ("step, compiled 250 ms", "embedding 3 ms", "GLU 197 ms", "optimizer"):
        assert text in svg
