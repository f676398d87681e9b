"""Gradient clipping by the global norm (Pascanu et al. 2013, algorithm 1)."""

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], largest: float) -> float:
    """Scale all gradients so that their joint Euclidean norm is at most `largest`.

    Returns the norm before clipping; a norm that is not finite leaves the gradients as they are.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
    norm = float(torch.linalg.vector_norm(norms))
    if largest < norm < float("inf"):
        for gradient in gradients:
            gradient.mul_(largest / norm)
    return norm
