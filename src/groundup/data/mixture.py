"""Several corpora mixed by weights: which one the i-th sample is of is a function of i alone.

Weights are counted in ten-thousandths, so the sources take turns in a pattern of at most 10,000
samples that comes again and again. In it, and so at every moment, each source has been taken within
1 of its share (Tijdeman 1980, "The chairman assignment problem"); a source's own samples are its
`Windows`, with a shuffle and epochs of their own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed
from groundup.data.shards import TokenShards
from groundup.data.windows import Windows

PARTS = 10_000


@dataclass(frozen=True, kw_only=True)
class Source:
    """weight: the share of the samples, relative to the other sources'."""

    shards: TokenShards
    weight: float


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """context: T tokens a window, and one more that follows them."""

    sources: tuple[Source, ...]
    context: int
    seed: int

    def __post_init__(self) -> None:
        _ = self.counts, self._windows  # their errors belong here, before anything is read

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How often each source comes in a pattern of `sum(counts)` samples."""
        weights = [source.weight for source in self.sources]
        if not weights or not all(0 < weight < math.inf for weight in weights):
            raise InputError(f"the weights of a mixture must be positive numbers, not {weights}.")
        counts = _rounded([weight / sum(weights) * PARTS for weight in weights])
        if not all(counts):
            least = min(self.sources, key=lambda source: source.weight)
            raise InputError(
                f"{least.shards.directory} has a weight of {least.weight}, less than a "
                f"{PARTS:,}th of all: give it more, or leave it out."
            )
        return tuple(count // math.gcd(*counts) for count in counts)

    def epochs(self, samples: int) -> float:
        """How many times the first `samples` samples visit the windows of the source that is
        visited most."""
        shares = [samples * count / sum(self.counts) for count in self.counts]
        return max(share / w.windows for share, w in zip(shares, self._windows, strict=True))

    def locate(self, samples: np.ndarray) -> list[tuple[TokenShards, int]]:
        """The shards of each sample, and where in them its window begins. samples: int64 [n]."""
        sources, before = self._pattern
        rounds, at = np.divmod(samples, len(sources))
        places: dict[int, tuple[TokenShards, int]] = {}
        for source, windows in enumerate(self._windows):
            (mine,) = np.nonzero(sources[at] == source)
            own = rounds[mine] * self.counts[source] + before[at[mine]]
            places |= zip(mine.tolist(), windows.locate(own), strict=True)
        return [places[row] for row in range(len(samples))]

    @cached_property
    def _windows(self) -> list[Windows]:
        return [
            Windows(
                shards=source.shards,
                context=self.context,
                seed=derive_seed(self.seed, "source", number),
            )
            for number, source in enumerate(self.sources)
        ]

    @cached_property
    def _pattern(self) -> tuple[np.ndarray, np.ndarray]:
        """The source of each sample of a pattern, and how many of that source come before it."""
        sources = np.array(take_turns(self.counts))
        before = np.empty_like(sources)
        for source, count in enumerate(self.counts):
            before[sources == source] = np.arange(count)
        return sources, before


def take_turns(counts: Sequence[int]) -> list[int]:
    """An order of `counts[k]` times each k, of whose first n entries n · counts[k] / sum(counts)
    are k, to within 1.

    Tijdeman's rule: of those that are so far behind their share that they may be taken, the one
    that must be taken soonest.
    """
    total, slack = sum(counts), max(2 * len(counts) - 2, 1)
    taken = [0] * len(counts)
    order: list[int] = []
    for n in range(1, total + 1):
        ready = [k for k, c in enumerate(counts) if slack * (n * c - total * taken[k]) >= total]
        chosen = min(ready, key=lambda k: (taken[k] + 1 - 1 / slack) / counts[k])
        taken[chosen] += 1
        order.append(chosen)
    return order


def _rounded(shares: Sequence[float]) -> list[int]:
    """Whole numbers with the sum of `shares`: what is cut off goes to the largest remainders."""
    counts = [int(share) for share in shares]
    remainder = sorted(range(len(shares)), key=lambda k: counts[k] - shares[k])
    for k in remainder[: round(sum(shares)) - sum(counts)]:
        counts[k] += 1
    return counts
