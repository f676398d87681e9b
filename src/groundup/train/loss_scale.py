"""Loss scaling for float16, whose smallest numbers are large for gradients (Micikevicius et al.
2018, "Mixed precision training", section 3.2).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class LossScale:
    """The factor of the loss, and so of all gradients, while they are computed.

    It is doubled after `patience` steps without an overflow, and halved at each overflow, whose
    step is left out: that is how it finds the largest that fits. factor: 1 for formats that need
    none.
    """

    factor: float = 1.0
    patience: int = 2000
    good: int = 0  # steps since the last change

    @classmethod
    def of(cls, dtype: torch.dtype) -> "LossScale":
        return cls(factor=2.0**16 if dtype == torch.float16 else 1.0)

    @property
    def used(self) -> bool:
        return self.factor > 1

    def undo(self, parameters: Iterable[Tensor]) -> None:
        """Give the gradients their own size."""
        if self.used:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(self.factor)

    def overflowed(self, norm: float) -> bool:
        """Whether the gradients of this norm are to be left out; the factor changes with it.

        At a factor of 1 that is over: what is not finite then is no matter of scaling.
        """
        if not self.used:
            return False
        if not math.isfinite(norm):
            self.factor, self.good = self.factor / 2, 0
            return True
        self.good += 1
        if self.good >= self.patience:
            self.factor, self.good = self.factor * 2, 0
        return False

    def state(self) -> dict[str, float]:
        return {"factor": self.factor, "good": self.good}

    def load(self, state: dict[str, float]) -> None:
        self.factor, self.good = state["factor"], int(state["good"])
