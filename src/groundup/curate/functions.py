"""Steps that call a function of the user's own: a score for each text, or a reason to drop it.

A defect in the function is no reason to drop a document: it ends the run with a sentence that names
the function, the document and the exception.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from traceback import extract_tb
from typing import Any, ClassVar, SupportsFloat

from groundup.core.errors import InputError
from groundup.core.users_code import load_callable
from groundup.curate.batches import in_batches
from groundup.curate.document import Document
from groundup.curate.notes import Notes


@dataclass(frozen=True, kw_only=True)
class Score:
    """function: FILE.py:NAME or MODULE:NAME; takes a list of texts and returns a number for each,
    such as what a model of yours makes of them. least, most: scores from which and up to which a
    document is kept. name: of the score in the metadata and of the rule; without one, the
    function's.
    """

    title: ClassVar[str] = "score"

    function: str
    least: float | None = None
    most: float | None = None
    name: str = ""

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        """Raises `InputError` where the function is not there, or fails."""
        function = load_callable(self.function, "function", "a list of texts")
        name = self.name or _name(self.function)
        for batch in in_batches(documents):
            scores = _scores(self.function, function, batch)
            for document, score in zip(batch, scores, strict=True):
                document.metadata[name] = score
                notes.value(name, score)
                if self.least is not None and score < self.least:
                    notes.reject(document, f"has {score:.4g}, less than {self.least}", name)
                elif self.most is not None and score > self.most:
                    notes.reject(document, f"has {score:.4g}, more than {self.most}", name)
                else:
                    yield document


@dataclass(frozen=True, kw_only=True)
class Call:
    """function: FILE.py:NAME or MODULE:NAME; takes a `Document`, which it may change, and returns
    None to keep it, or the reason to drop it, which continues a sentence about it."""

    title: ClassVar[str] = "call"

    function: str

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        """Raises `InputError` where the function is not there, or fails."""
        function = load_callable(self.function, "function", "a document")
        for document in documents:
            try:
                reason = function(document)
            except Exception as error:
                raise _failure(self.function, document, error) from error
            if reason is None:
                yield document
            elif isinstance(reason, str):
                notes.reject(document, reason, _name(self.function))
            else:
                raise InputError(
                    f"{self.function} returned {reason!r} for document {document.id}: return None "
                    "to keep a document, or the reason to drop it."
                )


def _scores(spec: str, function: Callable[..., Any], batch: Sequence[Document]) -> list[float]:
    try:
        scores = list(function([document.text for document in batch]))
    except Exception as error:
        document = _culprit(function, batch)
        raise _failure(spec, document, error) from error
    if len(scores) != len(batch):
        raise InputError(f"{spec} returned {len(scores)} scores for {len(batch)} texts.")
    for document, score in zip(batch, scores, strict=True):
        if not isinstance(score, SupportsFloat) or not math.isfinite(float(score)):
            raise InputError(
                f"{spec} returned {score!r} for document {document.id}: a score is a number."
            )
    return [float(score) for score in scores]


def _culprit(function: Callable[..., Any], batch: Sequence[Document]) -> Document:
    """The first document for which the function fails alone; the first of all, where it fails for
    none."""
    for document in batch:
        try:
            list(function([document.text]))
        except Exception:
            return document
    return batch[0]


def _failure(spec: str, document: Document, error: Exception) -> InputError:
    said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":.")
    frames = extract_tb(error.__traceback__)[1:]  # behind the one of this file
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    where = f" (line {own[-1].lineno})" if own else ""
    return InputError(f"{spec} failed for document {document.id} with {said}{where}.")


def _name(spec: str) -> str:
    return spec.rpartition(":")[2]
