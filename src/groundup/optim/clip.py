"""Gradient clipping by the global norm (Pascanu et al. 2013, algorithm 1)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from groundup.optim import many


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], largest: float) -> float:
    """Scale all gradients so that their joint Euclidean norm is at most `largest`.

    Returns the norm before clipping; a norm that is not finite leaves the gradients as they are.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = float(torch.linalg.vector_norm(torch.stack(many.norm(gradients))))
    if largest < norm < float("inf"):
        many.mul_(gradients, largest / norm)
    return norm
