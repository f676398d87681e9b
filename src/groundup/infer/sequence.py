"""A sequence that is being generated, or scored, and what is told of it."""

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed
from groundup.infer.grammar import TokenGrammar
from groundup.infer.grammar.automaton import DEAD, State
from groundup.infer.sampling import Sampling

Finish = Literal["stop", "length", "cancelled", "failed"]


@dataclass(frozen=True)
class Chosen:
    """A token, its log-probability, and the likeliest ones with theirs, in order."""

    token: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Completion:
    """tokens: what was generated, without the stop token. finish: why it ended.

    "stop": at a stop token, or where a grammar lets nothing follow. "length": at `max_tokens`, or
    where the model's context is full. logprobs: of each token, where
    the sampling asks for them.
    """

    tokens: list[int]
    finish: Finish
    logprobs: list[Chosen] | None = None


@dataclass(eq=False)
class Sequence:
    """prompt: what is read. written: what was drawn, a stop token included. most: of `written`.

    scored: from which token on log-probabilities are wanted, in place of new tokens.
    drafted: tokens that may come next; they are computed with what is there, and most often right.
    allowed: bool [V], the tokens that the grammar lets come next; None where there is none.
    error: why it has "failed": what its grammar asks for cannot be written.
    """

    prompt: Tokens[int]
    sampling: Sampling
    most: int
    stop: frozenset[int] = frozenset()
    stream: int = 0
    scored: int | None = None
    written: list[int] = field(default_factory=list)
    chosen: list[Chosen] = field(default_factory=list)
    drafted: list[int] = field(default_factory=list)
    finish: Finish | None = None
    error: InputError | None = None
    allowed: Tensor | None = None

    row: int = -1  # of the cache, while it is computed
    computed: int = 0  # positions that are in the cache
    names: list[bytes] = field(default_factory=list)
    _uniform: Tensor | None = None
    _state: State = DEAD  # of the grammar

    def __post_init__(self) -> None:
        if self.sampling.grammar is not None:
            self._state = self.sampling.grammar.start
            self.allowed = self.sampling.grammar.allowed(self._state)

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.written)

    @property
    def wanted(self) -> int:
        """Positions to be computed: the last token of a text that is scored tells nothing."""
        return self.length + len(self.drafted) - (self.scored is not None)

    @property
    def left(self) -> int:
        """How many tokens may still be written."""
        return self.most - len(self.written)

    def reached(self, stop: int) -> int:
        """Of the positions that a pass has computed, up to `stop`, those that belong to the text,
        and to no guess that was wrong. The token that was drawn last is never among them."""
        return min(stop, self.length - 1)

    @property
    def kept(self) -> int:
        """How many tokens have been written, a stop token not counted."""
        return len(self.written) - (self.written[-1:] != [] and self.written[-1] in self.stop)

    def inside(self, start: int, stop: int) -> Tokens[int]:
        """The tokens of some positions, drafted ones included."""
        read = len(self.prompt)
        if stop <= read:
            return self.prompt[start:stop]
        if read <= start and stop <= self.length:
            return self.written[start - read : stop - read]
        behind = [*self.written, *self.drafted][max(0, start - read) :]
        return [*self.prompt[start:], *behind][: stop - start]

    def uniform(self, ahead: int = 0) -> float:
        """The number in [0, 1) by which the next token is drawn, of the stream (seed, stream); or
        one that comes so many tokens later."""
        if self._uniform is None:
            seed = derive_seed(self.sampling.seed, self.stream)
            generator = torch.Generator().manual_seed(seed)
            self._uniform = torch.rand(self.most, dtype=torch.float64, generator=generator)
        return float(self._uniform[len(self.written) + ahead])

    def write(self, token: int) -> None:
        """Take the token that was drawn."""
        self.written.append(token)
        if token in self.stop:
            self.finish = "stop"
        elif len(self.written) == self.most:
            self.finish = "length"
        if self.sampling.grammar is not None and self.finish != "stop":
            self._go_on_in(self.sampling.grammar, token)

    def _go_on_in(self, grammar: TokenGrammar, token: int) -> None:
        try:
            self._state = grammar.after(self._state, token)
            if grammar.ended(self._state):
                self.finish = "stop"
            elif self.finish is None:
                self.allowed = grammar.allowed(self._state)
        except InputError as error:
            if self.finish is None:  # a text that is whole stays so
                self.finish, self.error = "failed", error

    def completion(self) -> Completion:
        """What was generated."""
        told = self.chosen[: self.kept] if self.sampling.logprobs is not None else None
        return Completion(self.written[: self.kept], self.finish or "cancelled", told)
