"""What a threshold of one label's probability is worth, on texts that the classifier has not seen,
and the choice of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.curate.classify.calibration import Bin, calibration_error, reliability
from groundup.curate.classify.judge import Judge

_POINTS = 200  # of a curve in JSON
_MARKS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)  # thresholds for people


@dataclass(frozen=True)
class Curve:
    """Texts whose probability of `label` is at least a threshold are taken.

    thresholds: float64, every probability that occurs, falling. precision: float64, of each, the
    share of those taken that are of the label. recall: float64, the share of those of the label
    that are taken. reliability, calibration_error: of that probability.
    """

    label: str
    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    reliability: tuple[Bin, ...]
    calibration_error: float

    def for_precision(self, precision: float) -> float:
        """The threshold that takes the most texts of the label at that precision or a better one.
        Raises `InputError` where none reaches it."""
        reached = np.flatnonzero(self.precision >= precision)
        if len(reached) == 0:
            raise InputError(
                f"no threshold for {self.label!r} reaches a precision of {precision:.2f} on these "
                "texts: ask for less, or train on more."
            )
        return float(self.thresholds[reached[-1]])

    def for_recall(self, recall: float) -> float:
        """The highest threshold that takes at least that share of the texts of the label."""
        return float(self.thresholds[np.flatnonzero(self.recall >= recall)[0]])

    def for_f1(self) -> float:
        """The threshold of the best harmonic mean of precision and recall; the highest of equal
        ones."""
        f1 = self.precision * self.recall / np.maximum(self.precision + self.recall, 1e-12)
        return float(self.thresholds[f1.argmax()])

    def at(self, threshold: float) -> tuple[float, float]:
        """Precision and recall; a precision of 1 where nothing is taken."""
        taken = int((self.thresholds >= threshold).sum())
        if taken == 0:
            return 1.0, 0.0
        return float(self.precision[taken - 1]), float(self.recall[taken - 1])

    def facts(self) -> dict[str, Any]:
        """As JSON, with some of the points where there are many. marks: rows of a round threshold,
        precision and recall."""
        chosen = np.unique(np.linspace(0, len(self.thresholds) - 1, _POINTS).astype(int))
        points = np.stack([self.thresholds, self.precision, self.recall])[:, chosen]
        return {
            "label": self.label,
            "calibration_error": self.calibration_error,
            "reliability": [list(row) for row in self.reliability],
            "marks": [[mark, *self.at(mark)] for mark in _MARKS],
            **dict(zip(("thresholds", "precision", "recall"), points.tolist(), strict=True)),
        }


def threshold_curve(judge: Judge, texts: Sequence[str], labels: Sequence[str], label: str) -> Curve:
    """The curve of a label. Raises `InputError` where no text is of it."""
    true = np.array([name == label for name in labels], dtype=bool)
    if not true.any() or label not in judge.labels:
        raise InputError(f"there is no text of the label {label!r} to choose a threshold on.")
    probabilities = judge.probabilities(list(texts))[:, judge.labels.index(label)].astype(float)
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    last = np.append(falling[1:] != falling[:-1], True)  # texts of one probability go together
    right = np.cumsum(true[order])[last]
    taken = np.arange(1, len(order) + 1)[last]
    bins = reliability(probabilities, true)
    return Curve(
        label=label,
        thresholds=falling[last],
        precision=right / taken,
        recall=right / true.sum(),
        reliability=bins,
        calibration_error=calibration_error(bins),
    )
