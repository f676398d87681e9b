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
    return _RMSNorm.apply(x, weight, eps)


class NormOfRows:
    """The same with a weight that stays where it is, and without a gradient."""

    def __init__(self, weight: Tensor, eps: float):
        """weight: float32 [N]."""
        need(weight.dtype == torch.float32 and weight.is_contiguous(), "a weight is float32")
        self._weight, self._eps, self._width = weight, eps, len(weight)
        self._address = weight.data_ptr()

    def __call__(self, x: Tensor) -> Tensor:
        assert core is not None
        need(x.shape[-1] == self._width and x.is_contiguous(), "rows do not fit the weight")
        rows = x.numel() // self._width
        y, scales = torch.empty_like(x), x.new_empty(rows, dtype=torch.float32)
        core.norm(
            torch.get_num_threads(),
            x.dtype == torch.bfloat16,
            x.data_ptr(),
            self._address,
            y.data_ptr(),
            scales.data_ptr(),
            rows,
            self._width,
            self._eps,
        )
        return y


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        assert core is not None
        x, weight32 = x.contiguous(), weight.float().contiguous()
        rows, width = x.numel() // x.shape[-1], x.shape[-1]
        y, scales = torch.empty_like(x), x.new_empty(rows, dtype=torch.float32)
        call(core.norm, x, x, weight32, y, scales, rows, width, eps)
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
