"""How often a document is read in an epoch, by a score of its quality."""

import math
from dataclasses import dataclass

import numpy as np

from groundup.core.seeds import derive_seed
from groundup.curate.document import Document


@dataclass(frozen=True, kw_only=True)
class Copies:
    """field: of the metadata, a number. A document of one of the `scores`, which rise, occurs as
    often as the number of `copies` at the same place says; between two scores the number is between
    theirs, and beyond the first and the last it is theirs.

    A number that is not whole is kept on average: of 2.3 copies, a document has three with the
    probability 0.3, else two, by a hash of its id. A document without a score occurs once.
    """

    field: str
    scores: tuple[float, ...]
    copies: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.copies):
            raise ValueError("there are as many copies as scores, and at least one")
        if any(a >= b for a, b in zip(self.scores, self.scores[1:], strict=False)):
            raise ValueError("scores rise")
        if not all(0 <= number < math.inf for number in self.copies):
            raise ValueError("copies are at least 0")

    @property
    def most(self) -> int:
        """What no document has more of."""
        return math.ceil(max(self.copies))

    def of(self, document: Document, seed: int) -> int:
        """How often the document occurs."""
        score = document.metadata.get(self.field)
        if isinstance(score, bool) or not isinstance(score, int | float) or math.isnan(score):
            return 1
        number = float(np.interp(score, self.scores, self.copies))
        chance = derive_seed(seed, "copies", document.id) / (1 << 63)
        return math.floor(number) + (chance < number % 1)
