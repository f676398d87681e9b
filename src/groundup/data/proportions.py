"""How much of a training's tokens each source of a mixture gives.

    claims      what each source asks for: a weight, its size times epochs, or its size flattened
    the cap     no source is read more often than a training gains from; what it cannot give, the
                others do, as their claims are

By size, a claim is n^(1/τ) of n tokens (Conneau et al. 2020, "Unsupervised cross-lingual
representation learning at scale", section 3.1, has 1/τ = 0.3): τ = 1 takes sources as large as they
are, and a higher temperature gives more to the small ones, which are then soon read out; the cap is
UniMax's (Chung et al. 2023). Text that was read four times is worth nearly as much as new text
(Muennighoff et al. 2023, "Scaling data-constrained language models").
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from groundup.core.errors import InputError


class Proportion(NamedTuple):
    """tokens: that a source gives. share: of all. epochs: how often it is read for that."""

    tokens: float
    share: float
    epochs: float


def claims_by_size(sizes: Sequence[int], temperature: float) -> list[float]:
    """sizes: of the sources, in tokens."""
    largest = max(sizes)  # relative to it, so that no power is too large for a number
    return [(size / largest) ** (1 / temperature) for size in sizes]


def proportions(
    sizes: Sequence[int], claims: Sequence[float], tokens: float, max_epochs: float = math.inf
) -> list[Proportion]:
    """What sources of these sizes give of so many tokens. claims: relative to each other.

    Raises `InputError` where all of them together cannot give as much.
    """
    limits = [max_epochs * size for size in sizes]
    if tokens > sum(limits):
        raise InputError(
            f"the sources have {sum(sizes):,} tokens, and {max_epochs:g} epochs of them are less "
            f"than {tokens:,.0f}: ask for fewer tokens, or for more epochs."
        )
    given = [0.0] * len(sizes)
    free, left, each = [*range(len(sizes))], tokens, 0.0
    while free:
        each = left / sum(claims[k] for k in free)
        full = [k for k in free if each * claims[k] > limits[k]]
        if not full:
            break
        for k in full:
            given[k] = limits[k]
            left -= limits[k]
            free.remove(k)
    for k in free:
        given[k] = each * claims[k]
    return [
        Proportion(amount, amount / tokens, amount / size)
        for amount, size in zip(given, sizes, strict=True)
    ]
