"""Memory for time: what the backward pass computes again instead of finding it kept (Chen et al.
2016, "Training deep nets with sublinear memory cost").

The logits are the largest single thing that a small model's training holds: a number for each
token of the batch and of the vocabulary, and as many again for their gradient. Computed in parts,
of which one exists at a time, they cost the head's forward pass twice.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Recompute = Literal["nothing", "logits", "blocks"]  # blocks: the logits as well

_ROWS = 1024  # tokens whose logits exist at a time


def recomputed(run: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of which the backward pass keeps the inputs alone. Random numbers are the
    same in both passes."""
    return partial(checkpoint, run, use_reentrant=False)


def in_parts(
    losses_of: Callable[[Tensor, Tensor], Tensor], hidden: Tensor, targets: Tensor
) -> Tensor:
    """The losses of all tokens, a part after the other, each computed again in the backward pass.

    losses_of: (hidden [1, N, D], targets [1, N]) → [1, N]. hidden: [B, T, D], targets: [B, T].
    Returns [B, T].
    """
    run = recomputed(losses_of)
    rows, wanted = hidden.flatten(0, 1).split(_ROWS), targets.flatten().split(_ROWS)
    parts = [run(h[None], t[None])[0] for h, t in zip(rows, wanted, strict=True)]
    return torch.cat(parts).view(targets.shape)
