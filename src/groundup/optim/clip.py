"""Gradient clipping by the global norm (Pascanu et al. 2013, algorithm 1)."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from groundup.optim import many


@torch.no_grad()
def clip_gradients(
    parameters: Iterable[Tensor],
    largest: float,
    total: Callable[[float], float] | None = None,
) -> float:
    """Scale all gradients so that their joint Euclidean norm is at most `largest`.

    total: where the parameters are a share of all, makes of a number the sum over the shares.
    Returns the norm before clipping; where it is not finite the gradients stay as they are.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = 0.0
    if gradients:
        norm = float(torch.linalg.vector_norm(torch.stack(many.norm(gradients)).float()))
    if total is not None:
        norm = math.sqrt(total(norm**2))
    if largest < norm < float("inf"):
        many.mul_(gradients, largest / norm)
    return norm
