"""Cross-entropy of logits, with the penalty of log²(Z) (Chowdhery et al. 2022, section 5).

With z = log Σ exp(logits): loss = z − logits[target] + c · z². Backward, p being the softmax:
dlogits = dloss · ((1 + 2·c·z) · p − onehot(target)).
"""

from typing import Any

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call, first_order, need


def cross_entropies(logits: Tensor, targets: Tensor, z_loss: float = 0.0) -> Tensor:
    """logits: [..., V]; targets: integers [...]; z_loss: c → float32 losses [...]."""
    shape = logits.shape[:-1]
    need(targets.shape == shape, f"targets of {tuple(shape)} are needed, not {targets.shape}")
    return _CrossEntropies.apply(logits, targets, z_loss)


class _CrossEntropies(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, z_loss: float) -> Tensor:
        assert core is not None
        logits, targets = logits.contiguous(), targets.contiguous()
        # as float32 only the logits of the targets; a target that is none is an IndexError here
        hit = logits.gather(-1, targets[..., None])[..., 0].float()
        sums = torch.empty_like(hit)
        call(core.log_sums, logits, logits, sums, targets.numel(), logits.shape[-1])
        ctx.save_for_backward(logits, targets, sums)
        ctx.z_loss = z_loss
        return sums - hit + z_loss * sums.square() if z_loss else sums - hit

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        assert core is not None
        logits, targets, sums = ctx.saved_tensors
        grad = grads[0].contiguous()
        factor = grad * (1 + 2 * ctx.z_loss * sums) if ctx.z_loss else grad
        dx = torch.empty_like(logits)
        sizes = (targets.numel(), logits.shape[-1])
        call(core.losses_back, logits, logits, sums, targets, factor, grad, dx, *sizes)
        return dx, None, None
