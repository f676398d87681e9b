"""The figures of the report: which curves of a run are drawn, and what each of them says.

The caption is also what a screen reader says instead of the drawing, so it gives the numbers.
"""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from groundup.report.formats import percent, quantity
from groundup.report.plots import Interval, Level, Line, bar_plot, interval_plot, line_plot
from groundup.report.record import STAGES, Metrics, RunRecord

Points = list[tuple[float, float]]

_MOST_POINTS = 240  # of a curve: about what its width on a screen can show
_LONGEST_TOKEN = 16  # bytes; the bar of the longer ones is one


@dataclass(frozen=True, kw_only=True)
class Plot:
    """name: unique in the page. svg: the drawing. caption: what it shows, in a sentence."""

    name: str
    title: str
    svg: Markup
    caption: str


def training_plots(record: RunRecord) -> list[Plot]:
    """Pretraining: compression, loss, learning rate and throughput, over the tokens seen."""
    plots = [_compression(record), _loss(record), _learning_rate(record), _throughput(record)]
    return [plot for plot in plots if plot]


def alignment_plots(record: RunRecord) -> list[Plot]:
    """The verifier's score by stage, the loss of fine-tuning, and GRPO's curves of every seed."""
    plots = [_scores(record), _fine_tuning(record), *_rewards(record)]
    return [plot for plot in plots if plot]


def tokenizer_plot(record: RunRecord) -> Plot | None:
    """How many tokens there are of each length."""
    lengths = {
        int(length): count
        for length, count in (record.summary["tokenizer"].get("token_lengths") or {}).items()
    }
    if not lengths:
        return None
    bars = [(str(n), lengths.get(n, 0)) for n in range(1, min(_LONGEST_TOKEN, max(lengths) + 1))]
    if longer := sum(count for length, count in lengths.items() if length >= _LONGEST_TOKEN):
        bars.append((f"{_LONGEST_TOKEN}+", longer))
    commonest = max(lengths, key=lambda length: lengths[length])
    return Plot(
        name="token-lengths",
        title="Length of the tokens",
        svg=bar_plot("token-lengths", bars, x="bytes", y="tokens of the vocabulary"),
        caption=f"Most tokens have {commonest} bytes; the longest has {max(lengths)}.",
    )


def thin(points: Points, most: int = _MOST_POINTS) -> Points:
    """At most `most` points, each the mean of as many neighbours; the last bin may be smaller."""
    size = max(1, -(-len(points) // most))
    bins = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (statistics.fmean(x for x, _ in chunk), statistics.fmean(y for _, y in chunk))
        for chunk in bins
    ]


def _compression(record: RunRecord) -> Plot | None:
    summary = record.summary
    steps = _points(record.pretrain, "tokens", "loss")
    if not steps:
        return None
    final = (steps[-1][0], summary["validation_bits_per_byte"])
    points = [*_points(record.pretrain, "tokens", "validation_bits_per_byte"), final]
    names = {"gzip_bits_per_byte": "gzip -9", "xz_bits_per_byte": "xz -9"}
    levels = [
        Level(label=label, y=summary[key]) for key, label in names.items() if summary.get(key)
    ]
    beside = ", ".join(f"{level.label} {level.y:.3f}" for level in levels)
    return Plot(
        name="compression",
        title="Compression of held-out text",
        svg=line_plot(
            "compression",
            [Line(points=points, dots=True)],
            x="tokens seen",
            y="bits per byte, less is better",
            levels=levels,
        ),
        caption=f"At the end {points[-1][1]:.3f} bits per byte; the same text takes {beside}. "
        "Points on the way are measured on a part of the held-out documents.",
    )


def _loss(record: RunRecord) -> Plot | None:
    points = thin(_points(record.pretrain, "tokens", "loss"))
    if not points:
        return None
    return Plot(
        name="loss",
        title="Training loss",
        svg=line_plot("loss", [Line(points=points)], x="tokens seen", y="nats per token"),
        caption=f"From {points[0][1]:.2f} to {points[-1][1]:.2f} nats per token, "
        f"over {quantity(points[-1][0])} tokens.",
    )


def _learning_rate(record: RunRecord) -> Plot | None:
    points = thin(_points(record.pretrain, "tokens", "lr"))
    if not points:
        return None
    return Plot(
        name="learning-rate",
        title="Learning rate",
        svg=line_plot(
            "learning-rate", [Line(points=points)], x="tokens seen", y="step size", from_zero=True
        ),
        caption=f"At most {max(y for _, y in points):.3g}, and {points[-1][1]:.2g} at the end.",
    )


def _throughput(record: RunRecord) -> Plot | None:
    """From the clock, so that validation and saving count as the time that they take."""
    clock = thin(_points(record.pretrain, "tokens", "seconds"), most=60)
    points = [
        (later[0], (later[0] - earlier[0]) / (later[1] - earlier[1]))
        for earlier, later in pairwise(clock)
        if later[1] > earlier[1]
    ]
    if not points:
        return None
    median = statistics.median(y for _, y in points)
    return Plot(
        name="throughput",
        title="Training throughput",
        svg=line_plot(
            "throughput",
            [Line(points=points)],
            x="tokens seen",
            y="tokens per second",
            from_zero=True,
        ),
        caption=f"Median {quantity(median)} tokens per second; dips are validation and saving.",
    )


def _scores(record: RunRecord) -> Plot | None:
    intervals = list(_intervals(record.summary))
    if not intervals:
        return None
    said = "; ".join(f"{interval.label}: {percent(interval.value)}" for interval in intervals)
    return Plot(
        name="scores",
        title="The verifier's score on held-out requests",
        svg=interval_plot("scores", intervals, x="share of the answers that pass"),
        caption=f"{said}. Lines are 95 % confidence intervals.",
    )


def _intervals(summary: Mapping[str, Any]) -> Iterator[Interval]:
    details = summary.get("verifier_details") or {}
    seeds = {f"grpo-seed-{seed['seed']}": seed for seed in summary.get("grpo_seeds") or []}
    for group, (stage, label) in enumerate(STAGES.items()):
        if stage == "grpo" and seeds:
            for seed in seeds.values():
                low, high = seed["interval"]
                name = f"{label}, seed {seed['seed']}"
                yield Interval(label=name, value=seed["score"], low=low, high=high, group=group)
        elif stage in details:
            low, high = details[stage]["interval"]
            value = details[stage]["passed"] / details[stage]["n"]
            yield Interval(label=label, value=value, low=low, high=high, group=group)


def _fine_tuning(record: RunRecord) -> Plot | None:
    points = thin(_points(record.sft, "step", "loss"))
    if not points:
        return None
    return Plot(
        name="sft-loss",
        title="Fine-tuning loss",
        svg=line_plot("sft-loss", [Line(points=points)], x="steps", y="nats per answer token"),
        caption=f"From {points[0][1]:.2f} to {points[-1][1]:.2f} nats per token of the answers.",
    )


def _rewards(record: RunRecord) -> Iterator[Plot]:
    shown = {
        "score": ("grpo-score", "GRPO: answers that pass", "share of the step's answers", True),
        "kl": ("grpo-kl", "GRPO: divergence from the fine-tuned model", "nats per token", False),
    }
    for key, (name, title, unit, share) in shown.items():
        lines = [
            Line(points=thin(points, most=60), label=f"seed {seed}")
            for seed, metrics in record.grpo.items()
            if (points := _points(metrics, "step", key))
        ]
        if not lines:
            continue
        ends = [line.points[-1][1] for line in lines]
        said = ", ".join(percent(end) if share else f"{end:.3f}" for end in ends)
        yield Plot(
            name=name,
            title=title,
            svg=line_plot(name, lines, x="steps", y=unit, from_zero=True, percent=share),
            caption=f"At the end {said}"
            + (", in the order of the seeds." if len(ends) > 1 else "."),
        )


def _points(metrics: Metrics, x: str, y: str) -> Points:
    """The records that have both; a value that was not finite is stored as null."""
    return [(r[x], r[y]) for r in metrics if r.get(x) is not None and r.get(y) is not None]
