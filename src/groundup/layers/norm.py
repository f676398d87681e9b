"""Normalisation over the width: RMSNorm (Zhang and Sennrich 2019, equation 4) and LayerNorm (Ba,
Kiros and Hinton 2016, section 3).

Where a config says None, there is none.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.kernels import cpu


@dataclass(frozen=True, kw_only=True)
class RMSNorm:
    """eps: added to the mean square, so that a zero vector stays finite.

    bias: add a learned vector as well. offset: the factor is 1 + weight, and the weight begins at
    zero (Gemma), so that weight decay pulls the factor towards one.
    """

    eps: float = 1e-6
    bias: bool = False
    offset: bool = False

    def build(self, width: int) -> "RMSNormalization":
        return RMSNormalization(self, width)


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """eps: added to the variance. bias: add a learned vector, as the paper does."""

    eps: float = 1e-5
    bias: bool = True

    def build(self, width: int) -> "LayerNormalization":
        return LayerNormalization(self, width)


Norm = RMSNorm | LayerNorm


def build_norm(config: Norm | None, width: int) -> nn.Module:
    """The normalisation, or the identity for None."""
    return nn.Identity() if config is None else config.build(width)


class RMSNormalization(nn.Module):
    """y = x / sqrt(mean(x²) + eps) · weight, over the last dimension.

    The statistics are computed in float32 whatever the input's format; the output has the input's.
    Written out instead of `F.rms_norm`, because the compiler fuses this form into one pass, and
    `F.rms_norm` takes several on a CPU. Without the compiler, the core has it in one pass there.
    """

    def __init__(self, config: RMSNorm, width: int):
        super().__init__()
        self.eps = config.eps
        self.offset = config.offset
        self.weight = nn.Parameter(torch.zeros(width) if config.offset else torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if config.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width] → the same shape and format."""
        if cpu.takes(x):
            y = cpu.rms_norm(x, self.factor(), self.eps)
            return y if self.bias is None else y + self.bias.to(x.dtype)
        x32 = x.float()
        # not the mean of squares: outside the compiler, they would be written to memory
        length = torch.linalg.vector_norm(x32, dim=-1, keepdim=True)
        scale = torch.rsqrt(length.square() / x.shape[-1] + self.eps)
        y = x32 * scale * self.factor()
        return (y if self.bias is None else y + self.bias.float()).to(x.dtype)

    def factor(self) -> Tensor:
        """What each column is multiplied by: float32 [width]."""
        return self.weight.float() + 1 if self.offset else self.weight.float()


class LayerNormalization(nn.Module):
    """y = (x − mean(x)) / sqrt(var(x) + eps) · weight + bias, over the last dimension."""

    def __init__(self, config: LayerNorm, width: int):
        super().__init__()
        self.eps = config.eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if config.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width] → the same shape and format."""
        weight = self.weight.to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.layer_norm(x, weight.shape, weight, bias, self.eps)
