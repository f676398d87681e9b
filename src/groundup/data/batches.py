"""Batches: which samples make up step i is a function of i alone, at any number of processes.

The data position of a checkpoint is its step number; there is nothing else to save. Each process
reads its own rows of one global batch.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from groundup.core.errors import InputError
from groundup.data.shards import TokenShards


class Batch(NamedTuple):
    """tokens, and the targets that follow them: int64 [B, T] each. documents: which document each
    target is of, int64 [B, T], where it was asked for."""

    tokens: np.ndarray
    targets: np.ndarray
    documents: np.ndarray | None


class Samples(Protocol):
    """An endless row of windows of `context` tokens: `Windows` of one corpus, or a `Mixture`."""

    @property
    def context(self) -> int: ...

    def epochs(self, samples: int) -> float:
        """How many times the first `samples` samples visit what is visited most."""
        ...

    def locate(self, samples: np.ndarray) -> list[tuple[TokenShards, int]]:
        """The shards of each sample, and where in them its window begins. samples: int64 [n]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Batches:
    """batch: sequences a step, of all processes together.

    documents: also say which document each position is of, for a model that keeps them apart. The
    end-of-text token between two documents is where the second begins, as it is in generation: its
    target is the second's first token.
    rank, world: which of how many processes reads; it gets B = batch / world rows.
    """

    samples: Samples
    batch: int
    documents: bool = False
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        check_share(self.batch, self.world)
        if not 0 <= self.rank < self.world:
            raise ValueError(f"rank {self.rank} is not one of {self.world}")

    def epochs(self, steps: int) -> float:
        """How many times `steps` steps visit each window."""
        return self.samples.epochs(steps * self.batch)

    def read(self, step: int) -> Batch:
        """This process's rows of a step's batch."""
        rows = self.batch // self.world
        first = step * self.batch + self.rank * rows
        places = self.samples.locate(np.arange(first, first + rows))
        T = self.samples.context
        block = np.stack([shards.read(start, T + 1) for shards, start in places], dtype=np.int64)
        documents = None
        if self.documents:
            documents = np.stack([shards.documents(start + 1, T) for shards, start in places])
        return Batch(block[:, :-1], block[:, 1:], documents)


def check_share(batch: int, world: int) -> None:
    """Raises `InputError` where so many processes cannot share a batch evenly."""
    if batch % world:
        raise InputError(
            f"a batch of {batch} sequences cannot be shared by {world} processes: "
            f"choose a multiple of {world}."
        )
