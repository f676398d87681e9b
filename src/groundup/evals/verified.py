"""The share of completions that satisfy a verifier, with its confidence interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from groundup.infer import Engine, Sampling
from groundup.tokenizers import Tokenizer
from groundup.verifiers.verifier import Problem, Verdict, Verifier, verify_batch

_Z95 = 1.959964  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class VerifiedShare:
    """passed of n completions. interval: 95 %, Wilson. verdicts: one a completion."""

    passed: int
    n: int
    interval: tuple[float, float]
    verdicts: list[Verdict]

    @property
    def score(self) -> float:
        return self.passed / self.n

    @property
    def raised(self) -> int:
        """How often the verifier itself failed; each counts as not passed."""
        return sum(verdict.raised for verdict in self.verdicts)


def answer(
    engine: Engine,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
) -> list[str]:
    """One completion as text for each prompt (token ids)."""
    completions = engine.generate(prompts, sampling)
    return [tokenizer.decode(completion.tokens) for completion in completions]


def verified_share(
    verifier: Verifier, problems: Sequence[Problem], completions: Sequence[str]
) -> VerifiedShare:
    """Verify each completion against its problem."""
    verdicts = verify_batch(verifier, list(zip(problems, completions, strict=True)))
    passed = sum(verdict.score == 1.0 for verdict in verdicts)
    interval = wilson_interval(passed, len(verdicts))
    return VerifiedShare(passed, len(verdicts), interval, verdicts)


def wilson_interval(passed: int, n: int, z: float = _Z95) -> tuple[float, float]:
    """Confidence interval of a proportion (Wilson 1927); at 0 or n of n it has a width, too."""
    share = passed / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, center - half), min(1.0, center + half)
