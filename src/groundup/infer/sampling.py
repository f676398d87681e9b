"""How the next token is drawn from the logits."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """max_tokens: the most tokens of a completion. temperature: 0 takes the most likely token.

    top_p: draw from the smallest set of tokens whose probabilities sum to at least this
    (Holtzman et al. 2020, section 3.1). seed: the same seed and prompts give the same completions.
    """

    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError("max_tokens must be at least 1")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError("temperature must be ≥ 0, and top_p in (0, 1]")


def sample(logits: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """One token a row, by inverting the cumulative distribution at `uniform`.

    logits: [rows, V], float32. uniform: float64 [rows] in [0, 1), one draw a row, so that what a
    row draws does not depend on the rows beside it. Returns integers [rows].
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits.double() / sampling.temperature, -1)
    if sampling.top_p < 1:
        probabilities = _nucleus(probabilities, sampling.top_p)
    cumulative = probabilities.cumsum(-1)
    threshold = uniform[:, None] * cumulative[:, -1:]
    index = torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)
    # Rounding may put the threshold at the very end: the last token that has any probability.
    last = (cumulative < cumulative[:, -1:]).sum(-1)
    return torch.minimum(index, last)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Zero all but the most likely tokens that together reach `top_p`: [rows, V] → [rows, V]."""
    ordered, order = probabilities.sort(-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where(before < top_p, ordered, torch.zeros_like(ordered))
    return torch.zeros_like(probabilities).scatter(-1, order, kept)
