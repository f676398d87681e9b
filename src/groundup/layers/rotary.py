"""Rotary position embedding (Su et al. 2021, section 3.2): rotate pairs by an angle that grows with
the position, so that the product of a query and a key depends on their distance alone.

Pairs are (i, i + K/2), the half-split layout of GPT-NeoX and Llama in Hugging Face format.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Rotary:
    """base: pair i turns by base^(−2i/K) radians a position (10,000 in the paper)."""

    base: float = 10_000.0

    def build(self, head_width: int) -> "RotaryEmbedding":
        return RotaryEmbedding(self, head_width)


class RotaryEmbedding(nn.Module):
    """Computes the rotations of given positions; they are shared by all layers of a model."""

    def __init__(self, config: Rotary, head_width: int):
        super().__init__()
        if head_width % 2:
            raise ValueError(f"rotary positions need an even head width, not {head_width}")
        self.base = config.base
        self.head_width = head_width

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """positions: integers [T] or [B, T] → cosine and sine, float32 [..., T, K/2]."""
        pair = torch.arange(0, self.head_width, 2, dtype=torch.float64, device=positions.device)
        frequency = self.base ** (-pair / self.head_width)
        angle = positions.to(torch.float64)[..., None] * frequency
        return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate queries or keys.

    x: [B, T, heads, K]. rotation: cosine and sine, [T, K/2] or [B, T, K/2].
    Returns the shape and format of x.
    """
    cos, sin = (part.to(x.dtype)[..., None, :] for part in rotation)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
