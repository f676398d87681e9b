"""The step that drops documents whose words a reference does not foresee."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from groundup.curate.batches import in_batches
from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.perplexity.model import load_word_model


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """model: what `groundup curate train-perplexity` wrote. most: the perplexity up to which a
    document is kept; without one, it is only written to the metadata."""

    title: ClassVar[str] = "perplexity"

    model: str
    most: float | None = None

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 1:
            raise ValueError("most is at least 1")

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        model = load_word_model(Path(self.model))
        for batch in in_batches(documents):
            found = model.perplexities([document.text for document in batch])
            for document, perplexity in zip(batch, found.tolist(), strict=True):
                if np.isnan(perplexity):
                    notes.reject(document, "has no words", "perplexity")
                    continue
                document.metadata["perplexity"] = round(perplexity, 1)
                notes.value("perplexity", perplexity)
                if self.most is not None and perplexity > self.most:
                    reason = f"has a perplexity of {perplexity:,.0f}, more than {self.most:,.0f}"
                    notes.reject(document, reason, "perplexity")
                else:
                    yield document
