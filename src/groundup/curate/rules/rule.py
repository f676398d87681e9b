"""A rule of quality: what is measured, and how little and how much of it a document may have.

A set of rules is a frozen dataclass whose fields are `Limits` and bear the names of measures:

    words: Limits = Limits(min=50, max=100_000)

It is a step of curation. A document is rejected by the first rule that it breaks, in the order of
the fields; but every rule takes its number of every document, so that `notes.values` shows what
other limits would do.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules.measures import MEASURES, Measure
from groundup.curate.rules.text_view import TextView


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """The least and the most that a document may have; None where all is well. Without either, a
    number is taken, and nothing is rejected."""

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be above max")


class Rule(NamedTuple):
    """name: under which its numbers and its rejects are counted."""

    name: str
    measure: Measure
    limits: Limits

    def reason(self, value: float) -> str | None:
        """Why a document with this number is rejected, as `Notes.reject` takes it; or None."""
        if self.limits.min is not None and value < self.limits.min:
            return self._sentence(value, "fewer", self.limits.min)
        if self.limits.max is not None and value > self.limits.max:
            return self._sentence(value, "more", self.limits.max)
        return None

    def _sentence(self, value: float, compared: str, limit: float) -> str:
        before, _, after = self.measure.phrase.partition("{}")
        kind = "%" if self.measure.percent else "f"
        digits = self.measure.digits
        while f"{value:.{digits}{kind}}" == f"{limit:.{digits}{kind}}":
            digits += 1
        figure, other = f"{value:,.{digits}{kind}}", f"{limit:,.{digits}{kind}}"
        return f"{before}{figure}{after}, {compared} than {other}"


def rules_of(config: Any) -> list[Rule]:
    """The rules of a set: a dataclass whose fields are limits of measures."""
    names = [field.name for field in dataclasses.fields(config)]
    return [Rule(name, MEASURES[name], getattr(config, name)) for name in names]


def apply_rules(
    rules: Sequence[Rule], documents: Iterable[Document], notes: Notes
) -> Iterator[Document]:
    """The documents that break no rule. One of which a number cannot be had in good time
    (`TimeoutError`) is rejected, too."""
    for document in documents:
        text = TextView(document.text)
        broken = None
        for rule in rules:
            try:
                value = rule.measure.of(text)
            except TimeoutError as error:
                broken = broken or (str(error), rule.name)
                continue
            notes.value(rule.name, value)
            reason = rule.reason(value)
            if reason is not None and broken is None:
                broken = reason, rule.name
        if broken is None:
            yield document
        else:
            notes.reject(document, *broken)
