"""The best model where serving it costs, too (Sardana et al. 2023, "Beyond Chinchilla-optimal",
equations 3 and 4): training takes 6·N·D FLOPs, and each token that is read or written later 2·N.
The more is served, the smaller the model, and the longer it is trained.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from groundup.core.errors import InputError
from groundup.scaling.chinchilla import Law
from groundup.scaling.huber import Array
from groundup.scaling.points import FLOPS_PER_WEIGHT

_SERVED = 2  # FLOPs for each weight and token that is served
_SIZES = 2001  # that are compared at a time, around the best of those before
_ROUNDS = 3
_SMALLEST, _LARGEST = 1e3, 1e15  # weights


class Choice(NamedTuple):
    """A model and its training. flops: of training and serving together."""

    parameters: float
    tokens: float
    loss: float
    flops: float


def cheapest(law: Law, loss: float, served_tokens: float = 0.0) -> Choice:
    """The least training and serving that reaches a loss; `InputError` where no model can."""
    if loss <= law.E:
        raise InputError(
            f"a loss of {loss:g} cannot be reached: {law.E:.3f} are left with any model and any "
            "number of tokens."
        )

    def cost(parameters: Array) -> Array:
        tokens = law.tokens_for(loss, parameters)
        return parameters * (FLOPS_PER_WEIGHT * tokens + _SERVED * served_tokens)

    N = _least(cost)
    D = float(law.tokens_for(loss, N))
    return Choice(N, D, loss, float(cost(np.array(N))))


def best_within(law: Law, flops: float, served_tokens: float = 0.0) -> Choice:
    """The least loss for so many FLOPs of training and serving. Raises `InputError` where serving
    alone takes more with any model."""

    def tokens(parameters: Array) -> Array:
        rest = flops - _SERVED * parameters * served_tokens
        return np.maximum(rest, 0) / (FLOPS_PER_WEIGHT * parameters)

    def loss(parameters: Array) -> Array:
        D = tokens(parameters)
        return np.where(D >= 1, law.loss(parameters, np.maximum(D, 1)), np.inf)

    N = _least(loss)
    D = float(tokens(np.array(N)))
    if D < 1:
        raise InputError(
            f"{served_tokens:.2g} tokens cannot be served with {flops:.2g} FLOPs by any model that "
            "is trained: give more, or serve fewer."
        )
    return Choice(N, D, float(law.loss(N, D)), flops)


def _least(of: Callable[[Array], Array]) -> float:
    """Where a function of the size that has one minimum is least."""
    low, high, best = math.log(_SMALLEST), math.log(_LARGEST), 0.0
    for _ in range(_ROUNDS):
        logs = np.linspace(low, high, _SIZES)
        place = int(np.argmin(of(np.exp(logs))))
        low, best, high = logs[[max(0, place - 1), place, min(_SIZES - 1, place + 1)]].tolist()
    return math.exp(best)
