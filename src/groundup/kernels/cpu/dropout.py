"""Dropout (Srivastava et al. 2014) without a stored mask: whether a number is kept is a hash of a
seed and of its place, which the backward pass computes anew.
"""

from typing import Any

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call


def dropout(x: Tensor, p: float) -> Tensor:
    """x / (1 − p) with probability 1 − p, else zero, in the shape and format of x.

    The seed is drawn from PyTorch's global generator.
    """
    return _Dropout.apply(x, torch.empty(1, dtype=torch.int64, device=x.device).random_(), p)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, seed: Tensor, p: float) -> Tensor:
        ctx.save_for_backward(seed)
        ctx.p = p
        return _dropped(x, seed, p)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Dropout.apply(grads[0], *ctx.saved_tensors, ctx.p), None, None


def _dropped(x: Tensor, seed: Tensor, p: float) -> Tensor:
    assert core is not None
    x = x.contiguous()
    y = torch.empty_like(x)
    drop = min(round(p * 2**32), 2**32 - 1)
    call(core.dropout, x, x, seed, y, x.numel(), drop, 1 / (1 - p))
    return y
