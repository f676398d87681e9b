"""Which checkpoints of a training stay on the disk."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Retention:
    """last: the newest so many are kept. every: one is written, and kept for good, each so many
    steps; 0: none is."""

    last: int = 1
    every: int = 0

    def __post_init__(self) -> None:
        if self.last < 1 or self.every < 0:
            raise ValueError("last must be at least 1, and every at least 0")

    def permanent(self, step: int) -> bool:
        return bool(self.every) and step % self.every == 0

    def kept(self, steps: Iterable[int]) -> set[int]:
        """Those of the steps whose checkpoints stay."""
        newest_first = sorted(steps, reverse=True)
        return {*newest_first[: self.last], *filter(self.permanent, newest_first)}
