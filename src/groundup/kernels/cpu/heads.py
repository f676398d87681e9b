"""What stands between a projection and attention, in one pass: each head's numbers are mixed with
those of the position before, normalised, rotated, and laid out by heads.

The formulas are those of `layers.shift`, `layers.norm` and `layers.rope`. Backward, a position's
gradient comes from its own numbers and, with a shift, from those of the next.
"""

from typing import Any

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call, first_order, need

WIDEST = 1024  # the core's limit of a head's width


def split_heads(
    x: Tensor,
    *,
    share: Tensor | None = None,
    first: Tensor | None = None,
    weight: Tensor | None = None,
    eps: float = 0.0,
    rotation: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """x: [B, T, H, K] → [B, H, T, K], dense, in x's format.

    share: [H], of the position before. first: bool [B, T], where no position is before; the first
    of all is one in any case. weight, eps: of an RMSNorm; weight [K]. rotation: cosine and sine,
    float32 [T, R/2] or [B, T, R/2], of the pairs (i, i + R/2).
    """
    B, T, H, K = x.shape
    need(K <= WIDEST, f"a head of at most {WIDEST} numbers is needed, not {K}")
    need(share is None or share.shape == (H,), f"a share for each of {H} heads is needed")
    need(weight is None or weight.shape == (K,), f"a weight of {K} is needed")
    need(first is None or first.dtype == torch.bool, "where documents begin is to be bool")
    cos = sin = None
    if rotation is not None:
        wide = (part.float().expand(*(B,) * (part.dim() - 2), T, -1) for part in rotation)
        cos, sin = (part.contiguous() for part in wide)
        need(cos.shape == sin.shape and 2 * cos.shape[-1] <= K, f"{K} numbers are to be turned")
    return _SplitHeads.apply(x, share, first, weight, eps, cos, sin)


class _SplitHeads(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        share: Tensor | None,
        first: Tensor | None,
        weight: Tensor | None,
        eps: float,
        cos: Tensor | None,
        sin: Tensor | None,
    ) -> Tensor:
        assert core is not None
        x = x.contiguous()
        B, T, H, K = x.shape
        y = x.new_empty(B, H, T, K)
        scales = None if weight is None else x.new_empty(B, H, T, dtype=torch.float32)
        if first is not None:
            first = first.expand(B, T).contiguous()
        ctx.save_for_backward(x, share, first, weight, cos, sin, scales)
        ctx.eps = eps
        inputs = (x, _float(share), first, _float(weight), cos, sin)
        call(core.heads, x, *inputs, y, scales, *_sizes(x, cos), eps)
        return y

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        assert core is not None
        x, share, first, weight, cos, sin, scales = ctx.saved_tensors
        share32, weight32 = _float(share), _float(weight)
        inputs = (x, share32, first, weight32, cos, sin, scales)
        dx = torch.empty_like(x)
        dshare, dweight = (v if v is None else torch.empty_like(v) for v in (share32, weight32))
        dy = grads[0].contiguous()
        results = (dy, dx, dweight, dshare)
        call(core.heads_back, x, *inputs, *results, *_sizes(x, cos), ctx.eps)
        dshare, dweight = _like(dshare, share), _like(dweight, weight)
        return dx, dshare, None, dweight, None, None, None


def _float(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.float().contiguous()


def _like(grad: Tensor | None, parameter: Tensor | None) -> Tensor | None:
    return grad if grad is None or parameter is None else grad.to(parameter.dtype)


def _sizes(x: Tensor, cos: Tensor | None) -> tuple[int, ...]:
    """Batch, positions, heads, width, what is rotated of it, and whether each sequence has angles
    of its own."""
    rotated = 0 if cos is None else 2 * cos.shape[-1]
    return *x.shape, rotated, cos is not None and cos.dim() == 3
