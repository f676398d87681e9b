"""Gradient clipping by the global norm (Pascanu et al. 2013, algorithm 1)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from groundup.optim import many


def clip_gradients(parameters: Iterable[Tensor], largest: float) -> float:
    """Scale all gradients so that their joint Euclidean norm is at most `largest`.

    Returns the norm before clipping; where it is not finite the gradients stay as they are.
    """
    parameters = list(parameters)
    norm = norm_of(parameters)
    scale_gradients(parameters, norm, largest)
    return norm


@torch.no_grad()
def norm_of(parameters: Iterable[Tensor]) -> float:
    """The joint Euclidean norm of the gradients."""
    gradients = _gradients(parameters)
    if not gradients:
        return 0.0
    return float(torch.linalg.vector_norm(torch.stack(many.norm(gradients)).float()))


@torch.no_grad()
def scale_gradients(parameters: Iterable[Tensor], norm: float, largest: float) -> None:
    """Scale gradients of the joint norm `norm`, if it is finite, to `largest` at most."""
    gradients = _gradients(parameters)
    if gradients and largest < norm < float("inf"):
        many.mul_(gradients, largest / norm)


def _gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in parameters if p.grad is not None]
