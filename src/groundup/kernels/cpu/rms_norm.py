"""RMSNorm (Zhang and Sennrich 2019, equation 4): y = x̂ · w, x̂ = x · ρ, ρ = 1 / √(mean(x²) + ε).

Backward, with g = dy · w: dx = ρ · (g − x̂ · mean(g · x̂)) and dw = Σ_rows dy · x̂.
"""

from typing import Any

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call, first_order, need


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x: [..., N]; weight: [N] → the shape and format of x."""
    need(weight.shape == x.shape[-1:], f"a weight of {x.shape[-1]} is needed, not {weight.shape}")
    if torch.is_grad_enabled():
        return _RMSNorm.apply(x, weight, eps)
    return _normed(x.contiguous(), weight.float().contiguous(), eps)[0]


def _normed(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """y, and ρ of each row."""
    assert core is not None
    rows, width = x.numel() // x.shape[-1], x.shape[-1]
    y, scales = torch.empty_like(x), x.new_empty(rows, dtype=torch.float32)
    call(core.norm, x, x, weight, y, scales, rows, width, eps)
    return y, scales


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        x = x.contiguous()
        y, scales = _normed(x, weight.float().contiguous(), eps)
        ctx.save_for_backward(x, weight, scales)
        ctx.eps = eps
        return y

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        assert core is not None
        x, weight, scales = ctx.saved_tensors
        weight32 = weight.float().contiguous()
        dx, dweight = torch.empty_like(x), torch.empty_like(weight32)
        rows, width = len(scales), x.shape[-1]
        dy = grads[0].contiguous()
        call(core.norm_back, x, x, weight32, scales, dy, dx, dweight, rows, width, ctx.eps)
        return dx, dweight.to(weight.dtype), None
