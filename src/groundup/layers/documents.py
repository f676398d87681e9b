"""Packed documents: several texts in one row, of which none sees another.

A row says with an integer a position which text it is of. A new document begins wherever the number
changes, so 0 0 1 0 are three of them, for attention as for a state that is carried along.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def borders(documents: Tensor) -> Tensor:
    """Where another document begins, bool [B, T]; False at the first position."""
    return F.pad(documents[:, 1:] != documents[:, :-1], (1, 0))


def numbered(documents: Tensor) -> Tensor:
    """0, 1, 2, … in the order of the documents, so that no number comes twice: [B, T]."""
    return borders(documents).cumsum(dim=1)


def places(documents: Tensor | None, T: int, device: torch.device) -> Tensor:
    """Positions, 0, 1, 2, … in each document anew: [B, T], or [T] where there are no documents."""
    at = torch.arange(T, device=device)
    return at if documents is None else at - starts(documents)


def starts(documents: Tensor) -> Tensor:
    """Where each position's document begins: [B, T]."""
    at = torch.arange(documents.shape[1], device=documents.device)
    return torch.where(borders(documents), at, 0).cummax(dim=1).values


def together(documents: Tensor) -> Tensor:
    """Which positions are of one document, of numbers that do not come twice: bool [B, 1, T, T]."""
    return documents[:, None, :, None] == documents[:, None, None, :]
