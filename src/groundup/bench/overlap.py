"""How much of the time in which processes exchange tensors they also compute, as PyTorch's profiler
saw it."""

from collections.abc import Callable, Iterable, Sequence

from torch.profiler import ProfilerActivity, profile

Interval = tuple[float, float]  # begin and end

_EXCHANGE, _COMPUTATION = "gloo:", "aten::"


def overlap(step: Callable[[], object]) -> float | None:
    """The share of the time of a step's exchanges in which this process computed; None where there
    were none. Of processors, by gloo."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step()
    events = [(e.name, (e.time_range.start, e.time_range.end)) for e in seen.events() or ()]
    exchanges = _union(span for name, span in events if name.startswith(_EXCHANGE))
    computations = _union(span for name, span in events if name.startswith(_COMPUTATION))
    return _length(_both(exchanges, computations)) / _length(exchanges) if exchanges else None


def _union(spans: Iterable[Interval]) -> list[Interval]:
    """The same time in intervals that do not touch, in order."""
    union: list[Interval] = []
    for begin, end in sorted(spans):
        if union and begin <= union[-1][1]:
            union[-1] = union[-1][0], max(end, union[-1][1])
        else:
            union.append((begin, end))
    return union


def _both(some: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """The time that is in both unions."""
    shared, at = [], 0
    for begin, end in some:
        while at < len(others) and others[at][1] <= begin:
            at += 1
        for other_begin, other_end in others[at:]:
            if other_begin >= end:
                break
            shared.append((max(begin, other_begin), min(end, other_end)))
    return shared


def _length(spans: Iterable[Interval]) -> float:
    return sum(end - begin for begin, end in spans)
