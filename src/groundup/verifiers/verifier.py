"""The verifier's protocol: a problem and a completion in, a verdict out.

Evaluation and reinforcement learning share it. A verifier is pure: the same problem and completion
give the same verdict, so a run can be repeated and a score can be checked by anyone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Problem = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one completion.

    score: in [0, 1]; what evaluation reports.
    reason: one sentence or less, for people.
    partial: in [0, 1], how far a completion came that earns no full score; 0 where the verifier
        knows no degrees.
    raised: the verifier itself failed on this completion (which then scores 0).

    Raises `ValueError` for a score or partial score outside of [0, 1], NaN included.
    """

    score: float
    reason: str
    partial: float = 0.0
    raised: bool = False

    def __post_init__(self) -> None:
        for value in (self.score, self.partial):
            if math.isnan(value) or not 0.0 <= value <= 1.0:
                raise ValueError(f"a verdict's score is {value}, not a number from 0 to 1")

    @property
    def reward(self) -> float:
        """The shaped reward of reinforcement learning: the score, or the partial one if higher."""
        return max(self.score, self.partial)


class Verifier(Protocol):
    """Judges one completion. A function of these two arguments is a verifier."""

    def __call__(self, problem: Problem, completion: str, /) -> Verdict: ...


@runtime_checkable
class BatchVerifier(Protocol):
    """A verifier that judges many completions faster together than one by one."""

    def __call__(self, problem: Problem, completion: str, /) -> Verdict: ...

    def verify_batch(self, pairs: Sequence[tuple[Problem, str]], /) -> list[Verdict]: ...


def verify_batch(verifier: Verifier, pairs: Sequence[tuple[Problem, str]]) -> list[Verdict]:
    """One verdict for each (problem, completion) pair, in order; a failing verifier scores 0.

    The verifier's own `verify_batch` is used where it has one. Where that raises, the pairs are
    judged one by one, so that one pair cannot take the others with it. Verdicts of a verifier that
    raised have `raised` set: count them, for they say nothing about the model.
    """
    if isinstance(verifier, BatchVerifier):
        try:
            verdicts = verifier.verify_batch(pairs)
        except Exception:
            return [_verify(verifier, problem, completion) for problem, completion in pairs]
        if len(verdicts) == len(pairs) and all(isinstance(v, Verdict) for v in verdicts):
            return verdicts
    return [_verify(verifier, problem, completion) for problem, completion in pairs]


def _verify(verifier: Verifier, problem: Problem, completion: str) -> Verdict:
    try:
        verdict = verifier(problem, completion)
    except Exception as error:
        return Verdict(0.0, f"the verifier raised {type(error).__name__}: {error}", raised=True)
    if not isinstance(verdict, Verdict):
        kind = type(verdict).__name__
        return Verdict(0.0, f"the verifier returned a {kind}, not a Verdict", raised=True)
    return verdict
