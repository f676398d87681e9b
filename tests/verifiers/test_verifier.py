import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.verifiers.verifier import Verdict, verify_batch

PAIRS = [({"answer": n}, str(n % 3)) for n in range(6)]


def exact(problem, completion):
    """A verifier of sums: the whole completion is the answer."""
    return Verdict(float(str(problem["answer"]) == completion), "compared")


class BatchOnly:
    """Has a batch method, and shows by its reason which method was used."""

    def __init__(self, result=None, error=None):
        self.result, self.error = result, error

    def __call__(self, _problem, _completion):
        return Verdict(1.0, "alone")

    def verify_batch(self, pairs):
        if self.error:
            raise self.error
        return [Verdict(1.0, "together")] * len(pairs) if self.result is None else self.result


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf])
def test_a_score_is_a_number_from_0_to_1(score):
    with pytest.raises(ValueError, match="from 0 to 1"):
        Verdict(score, "")
    with pytest.raises(ValueError, match="from 0 to 1"):
        Verdict(0.0, "", partial=score)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_reward_is_the_better_of_the_score_and_the_partial_score(score, partial):
    assert Verdict(score, "", partial=partial).reward == max(score, partial)


def test_a_batch_gives_the_verdicts_of_the_pairs_in_order():
    assert verify_batch(exact, PAIRS) == [exact(*pair) for pair in PAIRS]
    assert verify_batch(exact, []) == []


def test_the_batch_method_of_a_verifier_is_preferred():
    assert {v.reason for v in verify_batch(BatchOnly(), PAIRS)} == {"together"}


@pytest.mark.parametrize(
    "verifier",
    [
        BatchOnly(error=RuntimeError("one bad pair")),
        BatchOnly(result=[Verdict(1.0, "too few")]),
        BatchOnly(result=[1.0] * len(PAIRS)),
    ],
    ids=["raises", "miscounts", "returns no verdicts"],
)
def test_where_the_batch_method_fails_pairs_are_judged_alone(verifier):
    assert [v.reason for v in verify_batch(verifier, PAIRS)] == ["alone"] * len(PAIRS)


def test_a_verifier_that_raises_scores_0_for_that_pair_and_says_so():
    def divides(problem, completion):
        return Verdict(
            1.0 / (1 + int(completion) * 10**9), f"{problem['answer'] // int(completion)}"
        )

    verdicts = verify_batch(divides, PAIRS)
    assert [v.raised for v in verdicts] == [completion == "0" for _, completion in PAIRS]
    assert verdicts[0].score == 0.0
    assert "ZeroDivisionError" in verdicts[0].reason


@pytest.mark.parametrize("result", [1.0, True, None, "yes"])
def test_what_is_not_a_verdict_counts_as_a_failure_of_the_verifier(result):
    (verdict,) = verify_batch(lambda _problem, _completion: result, PAIRS[:1])
    assert verdict.raised
    assert verdict.score == 0.0
