"""The step that writes down in which language a document is, and keeps some languages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from groundup.core.errors import ConfigError
from groundup.curate.batches import in_batches
from groundup.curate.document import Document
from groundup.curate.language.identifier import BUNDLED, load_identifier
from groundup.curate.language.names import language_name
from groundup.curate.notes import Notes


@dataclass(frozen=True, kw_only=True)
class Language:
    """keep: the codes of the languages that pass; empty: all do. least: probability that a document
    is in its language. model: `auto`, or a path of a classifier of yours: `.bin` or `.ftz` of
    fastText, or what `groundup curate train-classifier` wrote. chars: of a longer document, so many
    are looked at, of its beginning, its middle and its end.

    Writes `language` and `language_probability` to the metadata.
    """

    title: ClassVar[str] = "language"

    keep: tuple[str, ...] = ("en",)
    least: float = 0.65
    model: str = BUNDLED
    chars: int = 9_000

    def __post_init__(self) -> None:
        if not 0 <= self.least <= 1 or self.chars < 1:
            raise ValueError("least is 0 to 1, and chars are above 0")

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        """Raises `ConfigError` where `keep` names a language that the model does not know."""
        identifier = load_identifier(self.model)
        if unknown := sorted(set(self.keep) - set(identifier.labels)):
            raise ConfigError(
                f"keep names the language {unknown[0]!r}, and the model knows "
                f"{', '.join(sorted(identifier.labels))}."
            )
        for batch in in_batches(documents):
            texts = [_sample(document.text, self.chars) for document in batch]
            found = identifier.identify(texts)
            for document, (language, probability) in zip(batch, found, strict=True):
                document.metadata["language"] = language
                document.metadata["language_probability"] = round(probability, 4)
                notes.count(f"in {language_name(language)}")
                notes.value("language probability", probability)
                reason = self._reason(language, probability)
                if reason is None:
                    yield document
                else:
                    notes.reject(document, reason, "language")

    def _reason(self, language: str, probability: float) -> str | None:
        name, sure = language_name(language), probability >= self.least
        if not self.keep or (language in self.keep and sure):
            return None
        if sure:
            return f"is in {name} ({probability:.2f})"
        return f"is most likely in {name} ({probability:.2f}), with less than {self.least}"


def _sample(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    part = -(-chars // 3)
    middle = (len(text) - part) // 2
    return "\n".join((text[:part], text[middle : middle + part], text[-part:]))
