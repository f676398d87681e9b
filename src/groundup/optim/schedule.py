"""Learning-rate schedules: a number in [0, 1] that multiplies every learning rate at a step."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Linear warm-up, a plateau, and a decay to `final`.

    kind: "wsd" keeps the plateau until the last `decay` share of the steps and then falls linearly
    (warm-up, stable, decay: Hu et al. 2024, MiniCPM, section 4); "cosine" falls from the warm-up
    on along half a cosine (Loshchilov and Hutter 2017); "linear" along a line; "sqrt" as the
    inverse root of the step (Vaswani et al. 2017, section 5.3); "constant" never falls.
    warmup, decay: shares of all steps. final: the last factor.
    """

    kind: Literal["wsd", "cosine", "linear", "sqrt", "constant"] = "wsd"
    warmup: float = 0.03
    decay: float = 0.5
    final: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.warmup <= 1 and 0 <= self.decay <= 1 and 0 <= self.final <= 1):
            raise ValueError("warmup, decay and final are shares between 0 and 1")

    def scale(self, step: int, steps: int) -> float:
        """The factor of step `step` (from 0) of `steps`; the first step is never at zero."""
        warm = self.warmup * steps
        if step < warm:
            return min(1.0, (step + 1) / warm)
        if self.kind == "constant":
            return 1.0
        if self.kind == "sqrt":
            return max(self.final, (max(warm, 1.0) / (step + 1)) ** 0.5)
        start = max(warm, (1 - self.decay) * steps) if self.kind == "wsd" else warm
        if step < start:
            return 1.0
        progress = min(1.0, (step - start) / (steps - start))
        left = 0.5 * (1 + math.cos(math.pi * progress)) if self.kind == "cosine" else 1 - progress
        return self.final + (1 - self.final) * left
