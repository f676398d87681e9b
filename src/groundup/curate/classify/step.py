"""The step that keeps or drops documents by a classifier: what reads like the pages that you want,
or is hateful, or an advertisement; whatever the labels say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from groundup.core.errors import ConfigError
from groundup.curate.batches import in_batches
from groundup.curate.classify.judge import load_judge
from groundup.curate.document import Document
from groundup.curate.notes import Notes


@dataclass(frozen=True, kw_only=True)
class Classify:
    """model: a classifier's path; what `groundup curate train-classifier` wrote, or a `.bin` or
    `.ftz` of fastText's. label: the one whose probability counts. least, most: probabilities from
    which and up to which a document is kept. name: of the probability in the metadata and of the
    rule; without one, the label's.
    """

    title: ClassVar[str] = "classify"

    model: str
    label: str
    least: float = 0.0
    most: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most <= 1:
            raise ValueError("0 ≤ least ≤ most ≤ 1 is not so")

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        """Raises `ConfigError` where the model has no such label."""
        judge = load_judge(Path(self.model))
        if self.label not in judge.labels:
            raise ConfigError(
                f"{self.model} has no label {self.label!r}: it has {', '.join(judge.labels)}."
            )
        column, name = judge.labels.index(self.label), self.name or self.label
        for batch in in_batches(documents):
            found = judge.probabilities([document.text for document in batch])[:, column]
            for document, probability in zip(batch, found.tolist(), strict=True):
                document.metadata[name] = round(probability, 4)
                notes.value(name, probability)
                said = f"is {self.label!r} with a probability of {probability:.3g}"
                if not probability >= self.least:
                    notes.reject(document, f"{said}, less than {self.least}", name)
                elif probability > self.most:
                    notes.reject(document, f"{said}, more than {self.most}", name)
                else:
                    yield document
