"""Copies of documents by a score."""

import pytest

from groundup.curate.copies import Copies
from groundup.curate.document import Document

COPIES = Copies(field="quality", scores=(1, 3, 4), copies=(0, 1, 3.5))


def scored(score: object, number: int = 0) -> Document:
    return Document("", str(number), "test", {"quality": score})


@pytest.mark.parametrize(
    ("score", "copies"),
    [(0, 0), (1, 0), (2, 0.5), (3, 1), (3.2, 1.5), (4, 3.5), (9, 3.5), (2.25, 0.625)],
)
def test_the_mean_is_between_those_of_the_scores_around(score: float, copies: float) -> None:
    found = [COPIES.of(scored(score, number), seed=1) for number in range(4000)]
    assert {*found} <= {int(copies), int(copies) + 1}
    assert sum(found) / len(found) == pytest.approx(copies, abs=0.03)  # four deviations
    assert found == [COPIES.of(scored(score, number), seed=1) for number in range(4000)]
    if copies % 1:
        assert found != [COPIES.of(scored(score, number), seed=2) for number in range(4000)]


@pytest.mark.parametrize("score", [None, "4", True, float("nan")])
def test_without_a_score_a_document_occurs_once(score: object) -> None:
    assert COPIES.of(scored(score), 0) == 1
    assert COPIES.of(Document("", "0", "test"), 0) == 1
    assert COPIES.most == 4


@pytest.mark.parametrize(
    ("scores", "copies"),
    [((), ()), ((1,), (1, 2)), ((1, 1), (1, 2)), ((2, 1), (1, 2)), ((1,), (-1,)), ((1,), (1e999,))],
)
def test_what_cannot_be_is_refused(scores: tuple[float, ...], copies: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="copies|scores rise"):
        Copies(field="quality", scores=scores, copies=copies)
