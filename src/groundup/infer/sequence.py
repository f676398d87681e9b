"""A sequence that is being generated, or scored, and what is told of it."""

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from groundup.core.seeds import derive_seed
from groundup.infer.sampling import Sampling

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Chosen:
    """A token, its log-probability, and the likeliest ones with theirs, in order."""

    token: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Completion:
    """tokens: what was generated, without the stop token. finish: why it ended.

    "length": at `max_tokens`, or where the model's context is full. logprobs: of each token, where
    the sampling asks for them.
    """

    tokens: list[int]
    finish: Finish
    logprobs: list[Chosen] | None = None


@dataclass(eq=False)
class Sequence:
    """prompt: what is read. written: what was drawn, a stop token included. most: of `written`.

    scored: from which token on log-probabilities are wanted, in place of new tokens.
    """

    prompt: Tokens[int]
    sampling: Sampling
    most: int
    stop: frozenset[int] = frozenset()
    stream: int = 0
    scored: int | None = None
    written: list[int] = field(default_factory=list)
    chosen: list[Chosen] = field(default_factory=list)
    finish: Finish | None = None

    row: int = -1  # of the cache, while it is computed
    computed: int = 0  # positions that are in the cache
    names: list[bytes] = field(default_factory=list)
    _uniform: Tensor | None = None

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.written)

    @property
    def wanted(self) -> int:
        """Positions to be computed: the last token of a text that is scored tells nothing."""
        return self.length - (self.scored is not None)

    def inside(self, start: int, stop: int) -> Tokens[int]:
        """The tokens of some positions."""
        read = len(self.prompt)
        if stop <= read:
            return self.prompt[start:stop]
        if start >= read:
            return self.written[start - read : stop - read]
        return [*self.prompt[start:], *self.written[: stop - read]]

    def uniform(self) -> float:
        """The number in [0, 1) by which the next token is drawn, of the stream (seed, stream)."""
        if self._uniform is None:
            seed = derive_seed(self.sampling.seed, self.stream)
            generator = torch.Generator().manual_seed(seed)
            self._uniform = torch.rand(self.most, dtype=torch.float64, generator=generator)
        return float(self._uniform[len(self.written)])

    def write(self, token: int) -> None:
        """Take the token that was drawn."""
        self.written.append(token)
        if token in self.stop:
            self.finish = "stop"
        elif len(self.written) == self.most:
            self.finish = "length"

    def completion(self) -> Completion:
        """What was generated."""
        end = len(self.written) - (self.finish == "stop")
        told = self.chosen[:end] if self.sampling.logprobs is not None else None
        return Completion(self.written[:end], self.finish or "cancelled", told)
