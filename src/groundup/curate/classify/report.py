"""What a classifier is worth, on texts that it has not seen: by class, and how far it can be
believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.curate.classify.classifier import Classifier

_BINS = 10


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
    reliability: rows of (from, to, texts, mean probability, share right) by the probability of the
    predicted label: a classifier that knows what it knows has the last two equal.
    calibration_error: their mean difference, weighted by texts (Guo et al. 2017, section 2).
    """

    classes: tuple[ClassReport, ...]
    accuracy: float
    macro_f1: float
    confusion: NDArray[np.int64]
    reliability: tuple[tuple[float, float, int, float, float], ...]
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


def report(classifier: Classifier, texts: Sequence[str], labels: Sequence[str]) -> Report:
    """Raises `InputError` where a label is none of the classifier's, or there are no texts."""
    if not texts:
        raise InputError("there are no texts to measure the classifier on.")
    if unknown := sorted(set(labels) - set(classifier.labels)):
        raise InputError(
            f"the classifier has no label {unknown[0]!r}: it has {', '.join(classifier.labels)}."
        )
    true = np.array([classifier.labels.index(label) for label in labels])
    probabilities = classifier.probabilities(list(texts))
    predicted = probabilities.argmax(1)
    size = len(classifier.labels)
    confusion = np.bincount(true * size + predicted, minlength=size * size).reshape(size, size)
    classes = tuple(_of_class(name, confusion, i) for i, name in enumerate(classifier.labels))
    reliability = _reliability(probabilities.max(1), true == predicted)
    return Report(
        classes=classes,
        accuracy=float((true == predicted).mean()),
        macro_f1=float(np.mean([row.f1 for row in classes])),
        confusion=confusion,
        reliability=reliability,
        calibration_error=sum(n * abs(p - r) for _, _, n, p, r in reliability) / len(true),
    )


def threshold(
    classifier: Classifier,
    texts: Sequence[str],
    labels: Sequence[str],
    label: str,
    precision: float,
) -> float:
    """The least probability of `label` from which on at least that share of texts are of it.

    So many as possible of them are found at that precision. Raises `InputError` where no threshold
    reaches it.
    """
    probabilities = classifier.probabilities(list(texts))[:, classifier.labels.index(label)]
    order = np.argsort(-probabilities, kind="stable")
    right = np.cumsum(np.array([labels[i] == label for i in order]))
    reached = right / np.arange(1, len(order) + 1) >= precision
    # texts of one probability are taken together
    sorted_ones = probabilities[order]
    last = np.append(sorted_ones[1:] != sorted_ones[:-1], True)
    chosen = np.flatnonzero(reached & last)
    if len(chosen) == 0:
        raise InputError(
            f"no threshold for {label!r} reaches a precision of {precision:.2f} on these texts: "
            "ask for less, or train on more."
        )
    return float(sorted_ones[chosen[-1]])


def _of_class(label: str, confusion: NDArray[np.int64], i: int) -> ClassReport:
    hits, called, texts = confusion[i, i], confusion[:, i].sum(), confusion[i].sum()
    precision, recall = hits / max(1, called), hits / max(1, texts)
    f1 = 2 * hits / max(1, called + texts)
    return ClassReport(label, int(texts), float(precision), float(recall), float(f1))


def _reliability(
    probabilities: NDArray[np.float32], right: NDArray[np.bool_]
) -> tuple[tuple[float, float, int, float, float], ...]:
    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    rows = []
    for number in range(_BINS):
        inside = bins == number
        if inside.any():
            means = float(probabilities[inside].mean()), float(right[inside].mean())
            rows.append((number / _BINS, (number + 1) / _BINS, int(inside.sum()), *means))
    return tuple(rows)
