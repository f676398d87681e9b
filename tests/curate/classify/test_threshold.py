"""The choice of a threshold: counted by hand, and laws that hold for any probabilities."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.curate.classify.calibration import calibration_error, reliability
from groundup.curate.classify.threshold import Curve, threshold_curve


class Spoken:
    """Gives the probability of good that a text spells."""

    labels = ("bad", "good")

    def probabilities(self, texts: list[str], /) -> NDArray[np.float32]:
        good = np.array([float(text) for text in texts], np.float32)
        return np.stack([1 - good, good], axis=1)


def curve(*pairs: tuple[float, bool]) -> Curve:
    texts = [str(probability) for probability, _ in pairs]
    return threshold_curve(Spoken(), texts, ["good" if g else "bad" for _, g in pairs], "good")


BY_HAND = ((0.875, True), (0.75, True), (0.75, False), (0.5, False), (0.25, True), (0.125, False))


def test_precision_and_recall_by_hand() -> None:
    """Taken are 1, 3, 4, 5 and 6 texts; those of one probability go together."""
    found = curve(*BY_HAND)
    assert found.thresholds.tolist() == [0.875, 0.75, 0.5, 0.25, 0.125]
    assert found.precision.tolist() == [1, 2 / 3, 2 / 4, 3 / 5, 3 / 6]
    assert found.recall.tolist() == [1 / 3, 2 / 3, 2 / 3, 1, 1]
    assert found.at(0.75) == found.at(0.6) == (2 / 3, 2 / 3)
    assert found.at(0.9) == (1.0, 0.0)


def test_a_threshold_is_chosen_by_what_is_wanted() -> None:
    found = curve(*BY_HAND)
    assert found.for_precision(0.9) == 0.875
    assert found.for_precision(0.6) == 0.25  # all of the label, although 0.5 is worse
    assert found.for_recall(0.5) == 0.75
    assert found.for_recall(1) == 0.25
    assert found.for_f1() == 0.25  # 3/4, and 2/3 at 0.75
    with pytest.raises(InputError, match="reaches a precision of 0.70"):
        curve((0.5, True), (0.75, False)).for_precision(0.7)
    with pytest.raises(InputError, match="no text of the label 'good'"):
        curve((0.5, False))


def test_the_facts_are_json_of_some_points() -> None:
    found = curve(*((n / 1000, n % 3 == 0) for n in range(1000))).facts()
    assert len(found["thresholds"]) == 200
    assert found["thresholds"][-1] == found["thresholds"][199] == 0
    assert found["recall"][-1] == 1


def test_reliability_by_hand() -> None:
    """Two bins: of 0.8 and 0.9 one of two is right, of 0.25 none; |0.85 − 0.5|, |0.25 − 0|."""
    bins = reliability(np.array([0.84, 0.86, 0.25]), np.array([True, False, False]))
    assert [(row.begin, row.end, row.texts, row.right) for row in bins] == [
        (0.2, 0.3, 1, 0),
        (0.8, 0.9, 2, 0.5),
    ]
    assert calibration_error(bins) == pytest.approx((2 * 0.35 + 0.25) / 3)
    assert reliability(np.array([1.0]), np.array([True]))[0].begin == 0.9


PAIRS = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1)


@given(PAIRS, st.floats(0.01, 1))
def test_what_is_promised_is_kept(pairs: list[tuple[float, bool]], wanted: float) -> None:
    pairs = [*pairs, (0.5, True)]
    found = curve(*pairs)

    def taken(threshold: float) -> list[bool]:
        return [good for p, good in pairs if np.float32(p) >= threshold]

    good = sum(good for _, good in pairs)
    assert sum(taken(found.for_recall(wanted))) >= wanted * good - 1e-9
    precision, recall = found.at(found.for_f1())
    best: Any = max(2 * sum(taken(t)) / (len(taken(t)) + good) for t in found.thresholds)
    assert 2 * precision * recall / (precision + recall) == pytest.approx(best)
    try:
        chosen = taken(found.for_precision(wanted))
    except InputError:
        assert all(sum(taken(t)) < wanted * len(taken(t)) for t in found.thresholds)
    else:
        assert sum(chosen) >= wanted * len(chosen) - 1e-9
