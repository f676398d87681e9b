"""How what a rule of curation measured is distributed, and what its limits cut off."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from groundup.curate.inspection import Measure
from groundup.report.figures import Plot
from groundup.report.formats import percent, visible
from groundup.report.plots import Bin, histogram

_BINS = 40  # about
_BINS_A_DECADE = 10
_WIDE = 100  # times the smallest value is the largest, where the axis is logarithmic


def measure_plot(name: str, measure: Measure) -> Plot | None:
    """None where no value is a finite number."""
    counts = {float(value): count for value, count in measure.values.items()}
    counts = {value: counts[value] for value in sorted(counts) if math.isfinite(value)}
    if not counts:
        return None
    scale = _scale_of(counts)
    drawn = {value: count for value, count in counts.items() if value > 0 or scale.width}
    within, beyond = Counter[int](), Counter[int]()
    for value, count in drawn.items():
        (within if _is_within(value, measure) else beyond)[scale.bin_of(value)] += count
    bins = [
        Bin(low=scale.edge(n), high=scale.edge(n + 1), within=within[n], beyond=beyond[n])
        for n in sorted(within.keys() | beyond.keys())
    ]
    limits = [x for x in (measure.least, measure.most) if x is not None]
    return Plot(
        name=name,
        title=f"{visible(measure.step)}: {visible(measure.name)}",
        svg=histogram(
            name,
            bins,
            y="documents",
            limits=[limit for limit in limits if bins[0].low <= limit <= bins[-1].high],
            log_x=scale.width is None,
        ),
        caption=_caption(counts, measure, left_out=sum(counts.values()) - sum(drawn.values())),
    )


@dataclass(frozen=True)
class _Scale:
    """width: of a bin; None where the axis is logarithmic."""

    width: float | None

    def bin_of(self, value: float) -> int:
        place = _BINS_A_DECADE * math.log10(value) if self.width is None else value / self.width
        return math.floor(round(place, 6))

    def edge(self, number: int) -> float:
        return 10 ** (number / _BINS_A_DECADE) if self.width is None else number * self.width


def _scale_of(counts: Mapping[float, int]) -> _Scale:
    low, high = min(counts), max(counts)
    positive = [value for value in counts if value > 0]
    if low >= 0 and high > max(1, _WIDE * min(positive, default=math.inf)):
        return _Scale(None)
    largest = max(abs(low), abs(high)) or 1
    step = 10 ** (math.floor(math.log10(largest)) - 1)  # between the largest values of two digits
    if all(value.is_integer() for value in counts):
        step = max(step, 1)
    return _Scale(max(step, _round_up((high - low) / _BINS)))


def _round_up(width: float) -> float:
    """The next of 1, 2 or 5 times a power of ten."""
    if width <= 0:
        return 0
    power = 10 ** math.floor(math.log10(width))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= width)


def _is_within(value: float, measure: Measure) -> bool:
    return (measure.least is None or value >= measure.least) and (
        measure.most is None or value <= measure.most
    )


def _caption(counts: Mapping[float, int], measure: Measure, left_out: int) -> str:
    total = sum(counts.values())
    said = (
        f"From {_figure(min(counts))} to {_figure(max(counts))}, median {_figure(_median(counts))}"
    )
    if measure.least is not None:
        below = sum(count for value, count in counts.items() if value < measure.least)
        said += f"; {_share(below, total)} below {_figure(measure.least)}"
    if measure.most is not None:
        above = sum(count for value, count in counts.items() if value > measure.most)
        said += f"; {_share(above, total)} above {_figure(measure.most)}"
    return said + (f". {left_out:,} that are 0 are not drawn." if left_out else ".")


def _median(counts: Mapping[float, int]) -> float:
    half, seen = sum(counts.values()) / 2, 0
    for value, count in sorted(counts.items()):
        seen += count
        if seen >= half:
            return value
    raise ValueError("there are no values")


def _share(count: int, total: int) -> str:
    return percent(count / total) if count else "none is"


def _figure(value: float) -> str:
    return f"{value:,.15g}"
