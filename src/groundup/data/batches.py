"""Batches from token shards: which windows make up step i is a function of (seed, i) alone.

The shards are read as one long stream, cut into windows of `context` tokens. Every epoch shifts
the cuts by a random offset and visits the windows in a new random order. The data position of a
checkpoint is its step number; there is nothing else to save.
"""

from dataclasses import dataclass

import numpy as np

from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed
from groundup.data.shards import TokenShards
from groundup.data.shuffle import permute


@dataclass(frozen=True, kw_only=True)
class Batches:
    """shards: the tokens. batch: B sequences a step. context: T tokens a sequence."""

    shards: TokenShards
    batch: int
    context: int
    seed: int

    def __post_init__(self) -> None:
        if self.windows < 1:
            raise InputError(
                f"the training set has {len(self.shards)} tokens, less than one window of "
                f"{self.context} + 1: give more text, or a shorter context."
            )

    @property
    def windows(self) -> int:
        """Windows in an epoch: a shift of up to `context` must leave them all inside."""
        room = len(self.shards) - 1
        return max(room // self.context - 1, min(room // self.context, 1))

    def epochs(self, steps: int) -> float:
        """How many times `steps` steps visit each window."""
        return steps * self.batch / self.windows

    def read(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and the tokens that follow them: int64 [B, T] each."""
        samples = step * self.batch + np.arange(self.batch)
        windows = [self._window(int(sample)) for sample in samples]
        block = np.stack([self.shards.read(start, self.context + 1) for start in windows])
        block = block.astype(np.int64)
        return block[:, :-1], block[:, 1:]

    def _window(self, sample: int) -> int:
        epoch, index = divmod(sample, self.windows)
        shuffled = int(permute(np.array([index]), self.windows, self._key("order", epoch))[0])
        slack = len(self.shards) - 1 - self.windows * self.context
        shift = self._key("shift", epoch) % (min(slack, self.context) + 1)
        return shift + shuffled * self.context

    def _key(self, purpose: str, epoch: int) -> int:
        return derive_seed(self.seed, purpose, epoch)
