"""Which tokens may come next: those whose bytes a grammar can read (Willard and Louf 2023,
"Efficient guided generation for large language models").

All tokens of a vocabulary are read at once, byte by byte, from the state that a text is in; what is
allowed there is kept, as texts come through the same states again and again.
"""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.core.errors import InputError
from groundup.infer.grammar.automaton import NOWHERE, Automaton, State
from groundup.infer.grammar.expression import Grammar
from groundup.tokenizers import Tokenizer

_KEPT, _KEPT_BYTES = 1 << 12, 1 << 24  # masks of each grammar


class TokenBytes:
    """The bytes of a tokenizer's ordinary tokens, side by side: `columns[i]` holds byte i of those
    that have one. ids: of the tokens, the longest first. size: of the model's vocabulary. ends:
    tokens that end a text."""

    def __init__(self, tokenizer: Tokenizer, size: int, ends: Sequence[int]):
        ordinary = tokenizer.vocabulary.ordinary
        self.text = {
            id: raw for id, raw in ordinary.items() if raw and id < size and id not in ends
        }
        order = sorted(self.text, key=lambda id: -len(self.text[id]))
        self.ids = torch.tensor(order, dtype=torch.int64)
        known = [id for id in ends if id < size and id not in tokenizer.vocabulary.silent(size)]
        self.size, self.ends = size, torch.tensor(known, dtype=torch.int64)
        lengths = np.array([len(self.text[id]) for id in order], dtype=np.int64)
        joined = np.frombuffer(b"".join(self.text[id] for id in order), dtype=np.uint8)
        begins = lengths.cumsum() - lengths
        self.columns: list[NDArray[np.uint8]] = []
        for i in range(lengths.max(initial=0)):
            self.columns.append(joined[begins[: (lengths > i).sum()] + i])


class TokenGrammar:
    """A grammar over a vocabulary. A text begins in the state `start`.

    Not to be used by two threads at once. All methods raise `InputError` where the grammar turns
    out to be too large.
    """

    def __init__(self, grammar: Grammar, tokens: TokenBytes):
        self._automaton = Automaton(grammar)
        self._tokens = tokens
        self._masks: OrderedDict[State, Tensor] = OrderedDict()
        self.start = self._automaton.start

    def allowed(self, state: State) -> Tensor:
        """Bool [V]: the tokens that may follow; tokens that end a text where it may end.

        Raises `InputError`, too, where none may: the vocabulary cannot spell what must come.
        """
        if state in self._masks:
            self._masks.move_to_end(state)
            return self._masks[state]
        mask = torch.zeros(self._tokens.size, dtype=torch.bool)
        mask[self._tokens.ids[torch.from_numpy(self._readable(state))]] = True
        if self._automaton.accepts(state):
            mask[self._tokens.ends] = True
        if not mask.any():
            raise InputError("the model has no token for what must come next: change the grammar.")
        self._masks[state] = mask
        if len(self._masks) > min(_KEPT, _KEPT_BYTES // len(mask)):
            self._masks.popitem(last=False)
        return mask

    def after(self, state: State, token: int) -> State:
        """The state after one of the allowed tokens that end no text."""
        return self._automaton.read(state, self._tokens.text[token])

    def ended(self, state: State) -> bool:
        """Whether nothing can follow."""
        return not self._automaton.goes_on(state)

    def _readable(self, state: State) -> NDArray[np.bool_]:
        """Of all tokens, in the order of `ids`: whether the automaton reads them."""
        readable = np.zeros(len(self._tokens.ids), dtype=bool)
        alive = np.arange(len(readable))
        at = np.full(len(alive), self._automaton.begin(state), dtype=np.int32)
        for column in self._tokens.columns:
            longer = np.searchsorted(alive, len(column))
            readable[alive[longer:]] = True
            alive = alive[:longer]
            at = self._automaton.step(at[:longer], column[alive])
            alive, at = alive[at != NOWHERE], at[at != NOWHERE]
        readable[alive] = True
        return readable
