"""The next tokens of several sequences, each drawn as its own sampling asks for."""

from collections.abc import Sequence as Tokens
from itertools import groupby

import torch
from torch import Tensor

from groundup.infer.sampling import Sampling, adjusted, sample
from groundup.infer.sequence import Chosen, Sequence


def draw(logits: Tensor, sequences: Tokens[Sequence]) -> list[int]:
    """The next token of each sequence. logits: float32 [rows, V]; they stay as they are."""
    if any(s.sampling.adjusts or s.allowed is not None for s in sequences):
        rows = list(logits)
        for i, sequence in enumerate(sequences):
            if sequence.sampling.adjusts:
                rows[i] = adjusted(logits[i], sequence.sampling, sequence.prompt, sequence.written)
            if sequence.allowed is not None:
                others = ~sequence.allowed.to(logits.device)
                rows[i] = rows[i].masked_fill(others, float("-inf"))
        logits = torch.stack(rows)
    drawn = [0] * len(sequences)
    by_rule = sorted(range(len(sequences)), key=lambda i: _rule(sequences[i].sampling))
    for rule, group in groupby(by_rule, key=lambda i: _rule(sequences[i].sampling)):
        of = list(group)
        some = logits if len(of) == len(sequences) else logits[of]
        uniform = None
        if rule[0] != 0:  # the likeliest token needs no chance
            numbers = [sequences[i].uniform() for i in of]
            uniform = torch.tensor(numbers, dtype=torch.float64, device=logits.device)
        tokens = sample(some, sequences[of[0]].sampling, uniform).tolist()
        for i, token in zip(of, tokens, strict=True):
            drawn[i] = token
    return drawn


def _rule(sampling: Sampling) -> tuple[float, int, float, float]:
    """Sequences with the same one are drawn together."""
    return sampling.temperature, sampling.top_k or 0, sampling.top_p, sampling.min_p


def reported(logits: Tensor, token: int, most: int) -> Chosen:
    """What is told of a token, and of the likeliest ones. logits: float32 [V]."""
    logprobs = logits.log_softmax(-1)
    likeliest = logprobs.topk(min(most, len(logprobs)))
    pairs = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
    possible = tuple(pair for pair in pairs if pair[1] > float("-inf"))
    return Chosen(token, float(logprobs[token]), possible)
