"""The softmax of attention: y = softmax(scale · logits) over what each row sees.

Backward: dlogits = scale · y · (dy − Σ y · dy).
"""

from typing import Any

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call, first_order, need


def softmax(
    logits: Tensor, *, scale: float, visible: int = 1, mask: Tensor | None = None
) -> Tensor:
    """logits: [B, H, T, S] → weights of the same shape and format.

    visible: how many columns the first row sees; each row sees one more. mask: in place of that,
    bool [1 or B, 1, T, S], True where a row sees a column; one that sees nothing becomes zeros.
    """
    if mask is not None:
        B, _, *square = logits.shape
        fits = mask.shape in [(masks, 1, *square) for masks in (1, B)]
        need(mask.dtype == torch.bool, f"a mask is to be bool, not {mask.dtype}")
        need(fits, f"a mask of {(B, 1, *square)} is needed, not {tuple(mask.shape)}")
        mask, visible = mask.contiguous(), logits.shape[-1]
    return _Softmax.apply(logits, scale, visible, mask)


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, scale: float, visible: int, mask: Tensor | None
    ) -> Tensor:
        assert core is not None
        logits = logits.contiguous()
        B, H, T, S = logits.shape
        masks = 1 if mask is None else len(mask)
        y = torch.empty_like(logits)
        call(core.softmax, logits, logits, mask, y, B * H, T, S, visible, masks, scale)
        ctx.save_for_backward(y)
        ctx.scale, ctx.visible = scale, visible
        return y

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        assert core is not None
        (y,) = ctx.saved_tensors
        B, H, T, S = y.shape
        dx, dy = torch.empty_like(y), grads[0].contiguous()
        call(core.softmax_back, y, y, dy, dx, B * H, T, S, ctx.visible, ctx.scale)
        return dx, None, None, None
