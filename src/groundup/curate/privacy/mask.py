"""The step that masks personal data.

It finds what can be told by its form: addresses of mail and machines, numbers of phones, cards,
accounts and persons, keys. Names, street addresses, dates of birth and whatever else only its
meaning makes personal stay: a text that was masked is not anonymous.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.privacy.detector import Detector
from groundup.curate.privacy.detectors import DETECTORS, KINDS, LOCAL_KINDS
from groundup.curate.privacy.finder import Finder


@dataclass(frozen=True, kw_only=True)
class Mask:
    """kinds: of data, by their names in the table (`detectors`); private IP addresses and hardware
    addresses only where named. replacement: `placeholder` (`<EMAIL>`) or `example`: a value that
    is nobody's, always the same for addresses, and for numbers the same shape with 0 for each
    digit."""

    title: ClassVar[str] = "mask"

    kinds: tuple[str, ...] = tuple(kind for kind in KINDS if kind not in LOCAL_KINDS)
    replacement: Literal["placeholder", "example"] = "placeholder"

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("kinds must name at least one kind of data")
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise ValueError(f"there is no kind '{unknown[0]}': there are {', '.join(KINDS)}")

    def finder(self) -> Finder:
        """Finds data of the kinds, and replaces them."""
        chosen = [detector for detector in DETECTORS if detector.kind in self.kinds]
        return Finder(chosen, _placeholder if self.replacement == "placeholder" else _example)

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        """The documents, masked. Counts what was replaced, by kind."""
        finder = self.finder()
        for document in documents:
            document.text, counts = finder.mask(document.text)
            for kind, number in counts.items():
                notes.count(kind, number)
            yield document


def _placeholder(detector: Detector, datum: str) -> str:
    del datum
    return detector.placeholder


def _example(detector: Detector, datum: str) -> str:
    return detector.fake(datum)
