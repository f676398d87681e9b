"""How rotary angles are changed, so that a model reads sequences longer than those of its training.

Each takes the frequencies of the pairs, in radians a position, and gives new ones.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Every position is divided by `factor` (Chen et al. 2023, "Extending context window of large
    language models via position interpolation", equation 4)."""

    factor: float

    def frequencies(self, frequencies: Tensor, base: float) -> Tensor:  # noqa: ARG002
        return frequencies / self.factor


@dataclass(frozen=True, kw_only=True)
class NTK:
    """The base grows such that the slowest pair turns `factor` times slower and the fastest as
    before (bloc97 2023; Peng et al. 2023, "YaRN", section 3.1, definition 1)."""

    factor: float

    def frequencies(self, frequencies: Tensor, base: float) -> Tensor:
        width = 2 * len(frequencies)
        pair = torch.arange(0, width, 2, dtype=frequencies.dtype, device=frequencies.device)
        return (base * self.factor ** (width / (width - 2))) ** (-pair / width)


@dataclass(frozen=True, kw_only=True)
class YaRN:
    """Slow pairs are interpolated, fast ones stay, those between are mixed (Peng et al. 2023,
    section 3.2); the rotated queries and keys grow by a factor each, which sharpens the softmax
    (section 3.3).

    factor: new by old context. context: the old one, in tokens. fast, slow: turns in the old
    context from which, and up to which, a pair counts as fast and as slow. logit_factor: of the
    queries and of the keys; the paper recommends `yarn_factor(factor)`. whole: round the bounds
    between fast and slow to whole pairs, as the paper's code does.
    """

    factor: float
    context: int
    fast: float = 32.0
    slow: float = 1.0
    logit_factor: float = 1.0
    whole: bool = True

    def frequencies(self, frequencies: Tensor, base: float) -> Tensor:
        width = 2 * len(frequencies)

        def pair_of(turns: float) -> float:
            """The pair that turns so often in the old context."""
            return width * math.log(self.context / (turns * 2 * math.pi)) / (2 * math.log(base))

        low, high = pair_of(self.fast), pair_of(self.slow)
        if self.whole:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, width - 1)
        pair = torch.arange(len(frequencies), dtype=frequencies.dtype, device=frequencies.device)
        slowness = ((pair - low) / max(high - low, 0.001)).clamp(0, 1)
        return frequencies * (1 - slowness) + frequencies / self.factor * slowness


def yarn_factor(factor: float, weight: float = 1.0) -> float:
    """How much queries and keys grow each for a longer context (Peng et al. 2023, equation 22)."""
    return 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0


@dataclass(frozen=True, kw_only=True)
class Llama3:
    """Pairs whose wave is longer than `context / low` are slowed by `factor`, those whose wave is
    shorter than `context / high` stay, those between are mixed (Grattafiori et al. 2024, "The
    Llama 3 herd of models", section 3.4.2; the formula is that of Meta's code).

    context: that of training before it was extended, in tokens.
    """

    factor: float
    context: int
    low: float = 1.0
    high: float = 4.0

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be less than high ({self.high})")

    def frequencies(self, frequencies: Tensor, base: float) -> Tensor:  # noqa: ARG002
        turns = self.context * frequencies / (2 * math.pi)
        fastness = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)
        return frequencies * fastness + frequencies / self.factor * (1 - fastness)
