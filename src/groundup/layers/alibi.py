"""ALiBi (Press, Smith and Lewis 2022, "Train short, test long", section 3): a key's logit falls
linearly with its distance, in each head at a rate of its own.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class ALiBi:
    """There is nothing to choose, and nothing to learn."""

    def build(self, heads: int) -> "LinearBias":
        return LinearBias(heads)


class LinearBias(nn.Module):
    """−slope · |query's position − key's|."""

    def __init__(self, heads: int):
        super().__init__()
        self.slopes = slopes(heads)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """queries, keys: positions, integers [T] and [S] → float32 [H, T, S]."""
        distance = (queries[:, None] - keys).abs()
        slope = torch.tensor(self.slopes, device=keys.device)
        return -slope[:, None, None] * distance


def slopes(heads: int) -> list[float]:
    """2^(−8/H), 2^(−16/H), …, 2^(−8). Where H is no power of two: those of the next smaller one,
    then every other one of the next larger, as in the paper's code."""
    whole = 2 ** math.floor(math.log2(heads))
    first = [2 ** (-8 * (i + 1) / whole) for i in range(whole)]
    return first + [2 ** (-4 * (i + 1) / whole) for i in range(0, 2 * (heads - whole), 2)]
