"""What a classifier is worth, on texts that it has not seen: by class, and how far it can be
believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.curate.classify.calibration import Bin, calibration_error, reliability
from groundup.curate.classify.judge import Judge


@dataclass(frozen=True)
class ClassReport:
    """label, texts: how many are of the class. precision: of those that were called so. recall: of
    those that are. f1: their harmonic mean."""

    label: str
    texts: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Report:
    """accuracy: share of right labels. macro_f1: the mean of the classes'.

    confusion: [true, predicted], counts in the order of the classes.
    reliability, calibration_error: of the probability of the label that was predicted.
    """

    classes: tuple[ClassReport, ...]
    accuracy: float
    macro_f1: float
    confusion: NDArray[np.int64]
    reliability: tuple[Bin, ...]
    calibration_error: float

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "calibration_error": self.calibration_error,
            "classes": [
                {name: getattr(row, name) for name in ClassReport.__dataclass_fields__}
                for row in self.classes
            ],
            "confusion": self.confusion.tolist(),
            "reliability": [list(row) for row in self.reliability],
        }


def report(judge: Judge, texts: Sequence[str], labels: Sequence[str]) -> Report:
    """Raises `InputError` where a label is none of the classifier's, or there are no texts."""
    if not texts:
        raise InputError("there are no texts to measure the classifier on.")
    if unknown := sorted(set(labels) - set(judge.labels)):
        raise InputError(
            f"the classifier has no label {unknown[0]!r}: it has {', '.join(judge.labels)}."
        )
    true = np.array([judge.labels.index(label) for label in labels])
    probabilities = judge.probabilities(list(texts))
    predicted = probabilities.argmax(1)
    size = len(judge.labels)
    confusion = np.bincount(true * size + predicted, minlength=size * size).reshape(size, size)
    classes = tuple(_of_class(name, confusion, i) for i, name in enumerate(judge.labels))
    bins = reliability(probabilities.max(1), true == predicted)
    return Report(
        classes=classes,
        accuracy=float((true == predicted).mean()),
        macro_f1=float(np.mean([row.f1 for row in classes])),
        confusion=confusion,
        reliability=bins,
        calibration_error=calibration_error(bins),
    )


def _of_class(label: str, confusion: NDArray[np.int64], i: int) -> ClassReport:
    hits, called, texts = confusion[i, i], confusion[:, i].sum(), confusion[i].sum()
    precision, recall = hits / max(1, called), hits / max(1, texts)
    f1 = 2 * hits / max(1, called + texts)
    return ClassReport(label, int(texts), float(precision), float(recall), float(f1))
