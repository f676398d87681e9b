"""The guard of a training: which steps are refused, and what is done about them.

Two rules. A loss or gradient that is not finite would spoil the weights for good. A spike, in loss
or gradient norm, lies many deviations above what the last steps had: the rule of OLMo-core's
skip-step optimizer (6 deviations in 128 steps), with the median and the median absolute deviation
(Rousseeuw and Croux 1993) for mean and standard deviation, which a single spike would move.

To skip is to leave the update out. To roll back is PaLM's way (Chowdhery et al. 2022, section 5.1):
weights and optimizer state of an earlier checkpoint go on with the batches after the spike. Here
the step goes on too, as data and learning rate hang on it: the steps between checkpoint and spike
are given up, not done again with other data.
"""

import math
import statistics
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from groundup.checkpoint import Retention

Action = Literal["skip", "rollback", "stop"]

_NORMAL = 1.4826  # a normal distribution's standard deviation over its median absolute deviation


@dataclass(frozen=True, kw_only=True)
class Guard:
    """on_nonfinite: what is done where loss or gradient is NaN or infinite. on_spike: where one of
    them is a spike; None: spikes are not looked for.

    deviations: how far above the median a spike lies. window: of how many steps; half of them must
    have been made before the first is judged. patience: how many steps of a window may be refused;
    one more stops the training.
    """

    on_nonfinite: Action = "skip"
    on_spike: Action | None = None
    deviations: float = 6.0
    window: int = 128
    patience: int = 5

    def __post_init__(self) -> None:
        if self.deviations <= 0 or self.window < 2 or self.patience < 0:
            raise ValueError(
                "deviations must be more than 0, window at least 2 and patience at least 0"
            )

    def check(self, retention: Retention) -> None:
        """Raises `ValueError` where it would roll back and no checkpoint is of a fixed step: to
        which one it goes must not depend on the time, or a resumed run would go another way."""
        if "rollback" in (self.on_nonfinite, self.on_spike) and not retention.every:
            raise ValueError(
                "a rollback goes to a checkpoint of a fixed step: set retention.every first"
            )


@dataclass(frozen=True)
class Incident:
    """A step that was refused. micro_batches: what it would have learned from."""

    reason: str
    action: Action
    micro_batches: Sequence[Any]


class Watch:
    """What a guard has seen of its training: the losses and gradient norms of the last steps that
    were made, and the last steps that were refused."""

    def __init__(self, guard: Guard):
        self.guard = guard
        self._losses: deque[float] = deque(maxlen=guard.window)
        self._norms: deque[float] = deque(maxlen=guard.window)
        self._refused: list[int] = []

    def judge(
        self, step: int, loss: float, norm: float, micro_batches: Sequence[Any]
    ) -> Incident | None:
        """Why the step must not be made; None where it may, and then it is taken note of.

        step: counted from 1. norm: of the gradient, before clipping.
        """
        guard = self.guard
        seen = (("loss", loss, self._losses), ("gradient norm", norm, self._norms))
        action, reason = guard.on_nonfinite, _not_finite(loss, norm)
        if reason is None and guard.on_spike:
            spikes = (self._spike(name, value, before) for name, value, before in seen)
            action, reason = guard.on_spike, next(filter(None, spikes), None)
        if reason is None:
            for _, value, before in seen:
                before.append(value)
            return None
        self._refused = [s for s in self._refused if s > step - guard.window] + [step]
        if (others := len(self._refused) - 1) >= guard.patience and action != "stop":
            action = "stop"
            if others:
                reason += f", after {others} refused steps since step {self._refused[0]}"
        return Incident(reason, action, micro_batches)

    def state(self) -> dict[str, Any]:
        """For a checkpoint, as JSON, which keeps every bit of a float."""
        return {
            "losses": list(self._losses),
            "norms": list(self._norms),
            "refused": list(self._refused),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self._losses.extend(state["losses"])
        self._norms.extend(state["norms"])
        self._refused = list(state["refused"])

    def _spike(self, name: str, value: float, before: Collection[float]) -> str | None:
        if len(before) < self.guard.window // 2:
            return None
        median = statistics.median(before)
        deviation = _NORMAL * statistics.median(abs(x - median) for x in before)
        if not value - median > self.guard.deviations * deviation > 0:
            return None
        far = (value - median) / deviation
        return f"its {name} of {value:.4g} lies {far:.1f} deviations above the median {median:.4g}"


def _not_finite(loss: float, norm: float) -> str | None:
    if not math.isfinite(loss):
        return f"its loss is {loss}"
    return None if math.isfinite(norm) else f"its gradient is {norm}"
