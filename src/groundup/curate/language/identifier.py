"""What tells languages apart: a library that brings its model along, or a model of the user's.

The library is py3langid, a naive Bayes model of 139 languages on rows of bytes that are chosen to
tell languages and not subjects apart (Lui and Baldwin 2011, "Cross-domain feature selection for
language identification"). `docs/dependencies.md` has it beside its peers.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from groundup.core.errors import MissingExtraError
from groundup.curate.classify.judge import Judge, load_judge

BUNDLED = "auto"


class Identifier(Protocol):
    """labels: the codes of the languages that are told apart."""

    @property
    def labels(self) -> Sequence[str]: ...

    def identify(self, texts: list[str], /) -> list[tuple[str, float]]:
        """Of each text the most likely language and its probability."""
        ...


def load_identifier(model: str) -> Identifier:
    """model: `auto`, or the path of a classifier whose labels are languages (`load_judge`).

    Raises `MissingExtraError` where the library is not there, and what `load_judge` raises.
    """
    return _bundled() if model == BUNDLED else _Judged(load_judge(Path(model)))


@cache
def _bundled() -> "_Bundled":
    return _Bundled()


class _Bundled:
    def __init__(self):
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError as error:
            raise MissingExtraError("Identifying languages", "curate") from error
        self._model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.labels: Sequence[str] = self._model.labels

    def identify(self, texts: list[str], /) -> list[tuple[str, float]]:
        return [self._model.classify(text) for text in texts]


class _Judged:
    def __init__(self, judge: Judge):
        self._judge = judge
        self.labels: Sequence[str] = judge.labels

    def identify(self, texts: list[str], /) -> list[tuple[str, float]]:
        probabilities = self._judge.probabilities(texts)
        best = [self.labels[int(number)] for number in probabilities.argmax(1)]
        return list(zip(best, probabilities.max(1).tolist(), strict=True))
