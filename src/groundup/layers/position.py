"""Positions that are added to the embeddings, and none at all.

Those that change attention itself are in `rope`, `alibi` and `relative`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class NoPE:
    """No positions: a causal model finds them out by itself (Kazemnejad et al. 2023)."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A vector for each position of the context (Gehring et al. 2017; GPT-2, BERT)."""

    def build(self, context: int, width: int) -> "LearnedPositions":
        return LearnedPositions(context, width)


@dataclass(frozen=True, kw_only=True)
class Sinusoidal:
    """Sines and cosines of wavelengths from 2π to base · 2π (Vaswani et al. 2017, section 3.5).

    interleaved: sine and cosine take turns, as in the paper; otherwise all sines come first, as in
    the paper's code (tensor2tensor) and in Marian.
    """

    base: float = 10_000.0
    interleaved: bool = True

    def build(self, context: int, width: int) -> "SinusoidalPositions":
        return SinusoidalPositions(self, context, width)

    def check(self, width: int) -> None:
        """Raises `ValueError` for a width that is no pairs of sine and cosine."""
        if width % 2:
            raise ValueError(f"sinusoidal positions need an even width, not {width}")


class LearnedPositions(nn.Module):
    """A table, one row a position."""

    def __init__(self, context: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(context, width))

    def forward(self, positions: Tensor) -> Tensor:
        """positions: integers [T] or [B, T] → [..., T, D]."""
        return self.weight[positions]


class SinusoidalPositions(nn.Module):
    """See `Sinusoidal`. There is nothing to learn, and no longest sequence."""

    def __init__(self, config: Sinusoidal, context: int, width: int):  # noqa: ARG002
        super().__init__()
        config.check(width)
        self.config = config
        self.width = width

    def forward(self, positions: Tensor) -> Tensor:
        """positions: integers [T] or [B, T] → float32 [..., T, D]."""
        pair = torch.arange(0, self.width, 2, dtype=torch.float64, device=positions.device)
        angle = positions.to(torch.float64)[..., None] * self.config.base ** (-pair / self.width)
        waves = (angle.sin(), angle.cos())
        if self.config.interleaved:
            return torch.stack(waves, -1).flatten(-2).float()
        return torch.cat(waves, -1).float()
