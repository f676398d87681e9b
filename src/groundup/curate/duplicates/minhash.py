"""MinHash: a short signature of a text, by which the share of shingles of two texts is estimated.

Each of P permutations of the 32-bit numbers reorders all shingles, and a text keeps the first of
its own. Two texts keep the same one with the probability of their Jaccard similarity J (Broder
1997), so that the share of equal numbers in two signatures estimates J, with a standard deviation
of √(J · (1 − J) / P): 0.035 for J = 0.8 and P = 128.

A permutation is x → a · x + b mod 2³² with an odd a, and x the upper half of a shingle's hash. It
is one multiplication of 32 bits, of which a register has 8 or 16, and shingles need no division by
a prime as in Carter and Wegman's family.

`core` has the same in C++: the time is that of P · n multiplications for n shingles.
"""

from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray

from groundup.core.native import core
from groundup.core.seeds import derive_seed
from groundup.curate.duplicates.shingles import lowered, shingles_in_order

Signatures = NDArray[np.uint32]

NONE = np.uint32(0xFFFFFFFF)  # all of a signature, where a text has no words


@dataclass(frozen=True, kw_only=True)
class MinHash:
    """permutations: P. width: words of a shingle. punctuation: whether it is part of words. seed:
    of the permutations."""

    permutations: int = 128
    width: int = 5
    punctuation: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.permutations < 1 or not 1 <= self.width <= 1000:
            raise ValueError("permutations and width must be above 0, and width at most 1000")

    def signatures(self, texts: list[str]) -> Signatures:
        """The signature of each text: [texts, P]."""
        factors, offsets = self._family
        if core is None:
            return np.array([self._signature(text) for text in texts], dtype=np.uint32).reshape(
                len(texts), self.permutations
            )
        lower = [lowered(text) for text in texts]
        return core.minhash(lower, self.width, self.punctuation, factors, offsets)

    @cached_property
    def _family(self) -> tuple[list[int], list[int]]:
        draw = Random(derive_seed(self.seed, "minhash"))  # the same numbers in every version
        factors = [draw.getrandbits(32) | 1 for _ in range(self.permutations)]
        return factors, [draw.getrandbits(32) for _ in range(self.permutations)]

    def _signature(self, text: str) -> Signatures:
        """The reference."""
        hashes = np.array(shingles_in_order(text, self.width, self.punctuation), dtype=np.uint64)
        upper = (hashes >> np.uint64(32)).astype(np.uint32)
        factors, offsets = (np.array(numbers, dtype=np.uint32) for numbers in self._family)
        least = np.full(self.permutations, NONE)
        for shingle in upper:
            np.minimum(least, factors * shingle + offsets, out=least)
        return least
