"""What mixers of positions need of a cache: everything that stands before the tokens of a pass.

A model that is trained reads whole sequences and has none. One that generates reads a few tokens of
each of many sequences at once: the tokens stand one behind the other in a single row, and the cache
alone knows which sequence each belongs to, and what of it came before.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from torch import Tensor

KeysValues = tuple[Tensor, Tensor]
# Of the positions of queries [T] and of keys [S]: what is added to the attention logits, [H, T, S].
Bias = Callable[[Tensor, Tensor], Tensor]
State = TypeVar("State", bound=tuple[Tensor, ...])


class Cache(Protocol):
    """x, queries, keys, values: of the tokens of a pass, T of them in each of B rows."""

    def before(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        """The keys and values, as projected, of the position before each; zeros before the first.

        keys, values: [B, T, kv_heads, K] → the same shapes.
        """
        ...

    def attend(
        self,
        layer: int,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        scale: float,
        window: int | None = None,
        bias: Bias | None = None,
        softcap: float | None = None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        """What each query reads of its sequence up to itself: [B, H, T, K_v].

        queries: [B, H, T, K]; keys: [B, kv_heads, T, K]; values: [B, kv_heads, T, K_v]. The layer's
        keys and values are kept, unless it borrowed them from one that keeps them. window: how many
        positions a query sees at most, itself included. The rest: see `attend`.
        """
        ...

    def carry(
        self,
        layer: int,
        x: Tensor,
        mix: Callable[[Tensor, State | None], tuple[Tensor, State]],
    ) -> Tensor:
        """What a mixer makes of x that keeps a state in place of keys: [B, T, D].

        mix: of x [rows, T', D] of some sequences and their states, a tuple of tensors with a row
        for each, or None at the beginning; it returns the states after x as well.
        """
        ...
