"""The plots and the table of a comparison hold every variant, and nothing that could act."""

from typing import Any
from xml.etree import ElementTree

import pytest

from groundup.report.trials import curves_svg, print_trials, trials_svg


def row(name: str, bits: float, **more: Any) -> dict[str, Any]:
    curve = [
        {"flops": 1e12 * i, "seconds": 3.0 * i, "bits_per_byte": bits + 1 / i} for i in (1, 2, 4)
    ]
    return {
        "name": name,
        "seeds": [bits - 0.01, bits + 0.01],
        "bits_per_byte": {"mean": bits, "half_width": 0.02},
        "difference": {"mean": 0.1, "half_width": 0.05},
        "parameters": 1_300_000,
        "tokens": 1_000_000,
        "flops": 4e12,
        "seconds": 12.0,
        "curve": curve,
        **more,
    }


RESULT = {
    "budget": "2e13",
    "seeds": 2,
    "rows": [
        row("1-gram", 3.9, validation=3.8, curve=[], flops=0.0, difference=None),
        row("5-gram", 1.9, validation=1.8, curve=[], flops=0.0, difference=None),
        row("base", 1.5, difference=None),
        row("norm=<script>none</script>", 1.6),
    ],
}


def test_the_plot_of_variants_names_each_and_its_mean() -> None:
    svg = trials_svg(RESULT)
    ElementTree.fromstring(svg)
    assert "<script" not in svg
    for text in ("5-gram", "base", "1.500", "1.600", "1.900"):
        assert text in svg


@pytest.mark.parametrize("against", ["flops", "seconds"])
def test_the_curves_name_every_model_that_trains(against: str) -> None:
    svg = curves_svg(RESULT, against=against)
    ElementTree.fromstring(svg)
    assert "base" in svg
    assert "norm=" in svg
    # beside FLOPs, of which counts have none, the best of them alone
    assert (">1-gram to 5-gram<" in svg.replace("\n", "")) == (against == "seconds")
    assert (">5-gram<" in svg.replace("\n", "")) == (against == "flops")


def test_the_table_has_intervals_and_differences(capsys: pytest.CaptureFixture[str]) -> None:
    print_trials(RESULT)
    shown = capsys.readouterr().out
    assert "1.600 ± 0.020" in shown
    assert "+0.100" in shown
    assert "over 2 seeds" in shown
