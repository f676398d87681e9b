"""Gradient clipping by the global norm (Pascanu et al. 2013, algorithm 1)."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from groundup.optim import many


@torch.no_grad()
def clip_gradients(
    parameters: Iterable[Tensor],
    largest: float,
    total: Callable[[Tensor], object] | None = None,
) -> float:
    """Scale all gradients so that their joint Euclidean norm is at most `largest`.

    total: where the parameters are a share of all, makes a number the sum over the shares, in
    place. Returns the norm before clipping; where it is not finite the gradients stay as they are.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack(many.norm(gradients)) if gradients else torch.zeros(1)
    norm = torch.linalg.vector_norm(norms)
    if total is not None:
        square = norm.square()
        total(square)
        norm = square.sqrt()
    norm = float(norm)
    if largest < norm < float("inf"):
        many.mul_(gradients, largest / norm)
    return norm
