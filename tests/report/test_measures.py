"""Histograms of what rules measured: every document is drawn once, on its side of the limits."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.curate.inspection import Measure
from groundup.report import measures as module
from groundup.report.measures import measure_plot
from groundup.report.plots import Bin


def measure(
    values: dict[str, int], least: float | None = None, most: float | None = None
) -> Measure:
    return Measure(step="rules", name="words", values=values, least=least, most=most)


@contextmanager
def drawn_bins() -> Iterator[list[Bin]]:
    """Those that a plot has."""
    drawn: list[Bin] = []

    def note(name: str, bins: list[Bin], **more: object) -> str:
        del name, more
        drawn[:] = bins
        return "<svg></svg>"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "histogram", note)
        yield drawn


@pytest.fixture
def bins() -> Iterator[list[Bin]]:
    with drawn_bins() as drawn:
        yield drawn


def test_whole_numbers_have_a_bar_each(bins: list[Bin]) -> None:
    measure_plot("m", measure({"0": 3, "1": 5, "2": 1, "9": 2}, least=1))
    assert bins == [
        Bin(low=0, high=1, within=0, beyond=3),
        Bin(low=1, high=2, within=5, beyond=0),
        Bin(low=2, high=3, within=1, beyond=0),
        Bin(low=9, high=10, within=2, beyond=0),
    ]


def test_bars_are_no_narrower_than_the_steps_of_large_values(bins: list[Bin]) -> None:
    """From 1,000 on, two digits tell hundreds: bars of fifty would be empty, every other one."""
    measure_plot("m", measure({f"{100 * n:.2g}": 1 for n in range(5, 16)}))
    assert [(b.low, b.within) for b in bins] == [(100 * n, 1) for n in range(5, 16)]


def test_what_is_spread_widely_is_drawn_by_its_logarithm(bins: list[Bin]) -> None:
    plot = measure_plot("m", measure({"0": 7, "1": 1, "1e+03": 2, "2e+06": 4}, most=1500))
    assert [(b.within, b.beyond) for b in bins] == [(1, 0), (2, 0), (0, 4)]
    assert [b.high / b.low for b in bins] == pytest.approx([10**0.1] * 3)
    assert [b.low for b in bins] == pytest.approx([1, 1000, 10**6.3], rel=0.01)
    assert plot is not None
    assert plot.caption == (
        "From 0 to 2,000,000, median 0; 29 % above 1,500. 7 that are 0 are not drawn."
    )


@settings(max_examples=200)
@given(
    values=st.dictionaries(
        st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: f"{x:.2g}"),
        st.integers(1, 9),
        min_size=1,
        max_size=20,
    ),
    limits=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)).map(sorted),
)
def test_every_document_is_drawn_once_and_on_its_side(
    values: dict[str, int], limits: list[float]
) -> None:
    least, most = limits
    with drawn_bins() as drawn:
        plot = measure_plot("m", measure(values, least, most))
    assert plot is not None
    zeros = sum(count for value, count in values.items() if float(value) == 0)
    left_out = zeros if "not drawn" in plot.caption else 0
    inside = sum(count for value, count in values.items() if least <= float(value) <= most)
    assert sum(b.within for b in drawn) in (inside, inside - left_out)
    assert sum(b.within + b.beyond for b in drawn) == sum(values.values()) - left_out
    assert len(drawn) <= 130
    middle = float(plot.caption.partition("median ")[2].partition(";")[0].replace(",", ""))
    repeated = np.repeat([float(v) for v in values], list(values.values()))
    assert middle == np.quantile(repeated, 0.5, method="inverted_cdf")


def test_the_caption_says_what_limits_cut_off() -> None:
    plot = measure_plot("m", measure({"0.1": 2, "0.5": 5, "0.9": 1}, least=0.2, most=1))
    assert plot is not None
    assert plot.title == "rules: words"
    assert plot.caption == "From 0.1 to 0.9, median 0.5; 25 % below 0.2; none is above 1."


def test_numbers_that_are_not_finite_are_not_drawn(bins: list[Bin]) -> None:
    assert measure_plot("m", measure({"nan": 3, "inf": 1})) is None
    assert measure_plot("m", measure({"nan": 3, "4": 1})) is not None
    assert [(b.low, b.within) for b in bins] == [(4, 1)]
