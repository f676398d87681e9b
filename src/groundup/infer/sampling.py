"""How the next token is drawn from the logits.

    penalties and biases → grammar → temperature → top-k → top-p → min-p → one draw

in the order of Hugging Face transformers. Every sequence has a stream of uniform numbers of its
own, and a token is the one whose part of the cumulative distribution holds the next of them: so
what a sequence draws hangs on its seed and its logits alone, and not on those beside it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.infer.grammar import TokenGrammar

_COLDEST = 1e-5
_FIRST = 256  # candidates that are tried for top-p before all are sorted
_BLOCK = 256  # tokens whose weights are added up before the search goes into one of them


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """max_tokens: the most tokens of a completion. temperature: 0 takes the most likely token.
    seed: the same seed and prompts give the same completions.

    top_k: draw from the k most likely tokens (Fan et al. 2018, section 5.4). top_p: from the
    smallest set whose probabilities sum to at least this (Holtzman et al. 2020, section 3.1).
    min_p: from tokens at least so likely, as a share of the likeliest one's probability (Nguyen et
    al. 2024).
    repetition_penalty: logits of tokens that were read or written are divided by it, or multiplied
    where they are negative (Keskar et al. 2019, section 4.1). frequency_penalty, presence_penalty:
    taken from a token's logit for each time that it was written, and once if it was (OpenAI's API).
    logit_bias: (token, what is added to its logit).
    grammar: what the text must look like; other tokens are never drawn.
    logprobs: how many alternatives are told beside each token, with their log-probabilities and its
    own, before all of the above; None for nothing.
    """

    max_tokens: int = 256
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    grammar: TokenGrammar | None = None
    logprobs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError("max_tokens must be at least 1")
        told = (self.temperature, self.repetition_penalty, self.frequency_penalty)
        if not all(map(math.isfinite, (*told, self.presence_penalty))):
            raise ValueError("temperature and penalties must be finite")
        if not (self.temperature >= 0 and 0 < self.top_p <= 1):
            raise ValueError("temperature must be ≥ 0, and top_p in (0, 1]")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError("top_k must be at least 1")
        if not 0 <= self.min_p <= 1:
            raise ValueError("min_p must be in [0, 1]")
        if not self.repetition_penalty > 0:
            raise ValueError("repetition_penalty must be positive")
        if self.logprobs is not None and self.logprobs < 0:
            raise ValueError("logprobs must not be negative")

    @property
    def adjusts(self) -> bool:
        """Whether logits are changed before anything else."""
        penalties = (self.repetition_penalty - 1, self.frequency_penalty, self.presence_penalty)
        return any(penalties) or bool(self.logit_bias)


def adjusted(
    logits: Tensor, sampling: Sampling, prompt: Sequence[int], written: Sequence[int]
) -> Tensor:
    """Logits [V], with penalties for tokens of the prompt and those written, and biases."""
    logits = logits.clone()
    if sampling.repetition_penalty != 1:
        seen = _ids({*prompt, *written}, logits)
        there, penalty = logits[seen], sampling.repetition_penalty
        logits[seen] = torch.where(there < 0, there * penalty, there / penalty)
    if written and (sampling.frequency_penalty or sampling.presence_penalty):
        counts = Counter(written)
        times = torch.tensor([*counts.values()], dtype=logits.dtype, device=logits.device)
        logits[_ids(counts, logits)] -= (
            sampling.frequency_penalty * times + sampling.presence_penalty
        )
    if sampling.logit_bias:
        ids, biases = zip(*sampling.logit_bias, strict=True)
        more = torch.tensor(biases, dtype=logits.dtype, device=logits.device)
        logits.index_add_(0, _ids(ids, logits), more)
    return logits


def _ids(ids: Iterable[int], like: Tensor) -> Tensor:
    return torch.tensor([*ids], device=like.device)


def sample(logits: Tensor, sampling: Sampling, uniform: Tensor | None) -> Tensor:
    """One token a row, by inverting the cumulative distribution at `uniform`.

    logits: [rows, V], float32. uniform: float64 [rows] in [0, 1), one draw a row; None where the
    temperature is 0. Returns integers [rows].
    """
    if uniform is None or sampling.temperature < _COLDEST:  # logits over it would not be finite
        return logits.argmax(-1)
    logits = logits / sampling.temperature
    if sampling.top_k is None and sampling.top_p == 1:
        return _draw_from_all(logits, sampling.min_p, uniform)
    size = logits.shape[-1]
    wanted = min(size, sampling.top_k or _FIRST)
    likely, tokens = logits.topk(wanted)
    weights = (likely - likely[:, :1]).double().exp()
    total = weights.sum(-1, keepdim=True)
    if sampling.top_k is None and wanted < size:
        total = (logits - likely[:, :1]).exp().sum(-1, keepdim=True, dtype=torch.float64)
        if (weights.sum(-1, keepdim=True) < sampling.top_p * total).any():
            likely, tokens = logits.sort(-1, descending=True)
            weights = (likely - likely[:, :1]).double().exp()
    before = weights.cumsum(-1) - weights
    if sampling.top_p < 1:
        weights = weights.masked_fill(before >= sampling.top_p * total, 0.0)
    weights = weights.masked_fill(weights < sampling.min_p, 0.0)
    return tokens.gather(1, _invert(weights, uniform)[:, None])[:, 0]


def _draw_from_all(logits: Tensor, min_p: float, uniform: Tensor) -> Tensor:
    """In two steps, as sums in float64 over all of a large vocabulary would take the longest."""
    weights = (logits - logits.amax(-1, keepdim=True)).exp_()
    if min_p:
        weights = weights.masked_fill(weights < min_p, 0.0)
    rows, size = weights.shape
    weights = torch.nn.functional.pad(weights, (0, -size % _BLOCK)).view(rows, -1, _BLOCK)
    sums = weights.sum(-1, dtype=torch.float64)
    block = _invert(sums, uniform)[:, None]
    before = (sums.cumsum(-1) - sums).gather(1, block)
    inside = uniform[:, None] * sums.sum(-1, keepdim=True) - before
    chosen = weights[torch.arange(rows, device=weights.device), block[:, 0]].double()
    share = (inside / sums.gather(1, block)).clamp(min=0)
    return block[:, 0] * _BLOCK + _invert(chosen, share[:, 0])


def _invert(weights: Tensor, uniform: Tensor) -> Tensor:
    """Which of the weights [rows, n], float64, holds the share `uniform` [rows] of their sum."""
    cumulative = weights.cumsum(-1)
    threshold = uniform[:, None] * cumulative[:, -1:]
    index = torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)
    # Rounding may put the threshold at the very end: the last one that has any weight.
    last = (cumulative < cumulative[:, -1:]).sum(-1)
    return torch.minimum(index, last)
