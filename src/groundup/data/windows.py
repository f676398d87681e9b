"""Windows of one corpus: which of them is the i-th sample is a function of (seed, i) alone.

The shards are read as one long stream, cut into windows of `context` tokens. Every epoch shifts
the cuts by a random offset and visits the windows in a new random order, without a list of them in
memory.
"""

from dataclasses import dataclass

import numpy as np

from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed
from groundup.data.shards import TokenShards
from groundup.data.shuffle import permute


@dataclass(frozen=True, kw_only=True)
class Windows:
    """shards: the tokens. context: T tokens a window, and one more that follows them."""

    shards: TokenShards
    context: int
    seed: int

    def __post_init__(self) -> None:
        if self.windows < 1:
            raise InputError(
                f"{self.shards.directory} has {len(self.shards)} tokens, less than one window of "
                f"{self.context} + 1: give more text, or a shorter context."
            )

    @property
    def windows(self) -> int:
        """Windows in an epoch: a shift of up to `context` must leave them all inside."""
        room = len(self.shards) - 1
        return max(room // self.context - 1, min(room // self.context, 1))

    def epochs(self, samples: int) -> float:
        """How many times the first `samples` samples visit each window."""
        return samples / self.windows

    def locate(self, samples: np.ndarray) -> list[tuple[TokenShards, int]]:
        """The shards of each sample, and where in them its window begins. samples: int64 [n]."""
        epochs, indices = np.divmod(samples, self.windows)
        starts = np.empty_like(samples)
        for epoch in np.unique(epochs).tolist():
            now = epochs == epoch
            order = permute(indices[now], self.windows, self._key("order", epoch))
            starts[now] = self._shift(epoch) + order * self.context
        return [(self.shards, start) for start in starts.tolist()]

    def _shift(self, epoch: int) -> int:
        slack = len(self.shards) - 1 - self.windows * self.context
        return self._key("shift", epoch) % (min(slack, self.context) + 1)

    def _key(self, purpose: str, epoch: int) -> int:
        return derive_seed(self.seed, purpose, epoch)
