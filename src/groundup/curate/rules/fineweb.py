"""The rules that FineWeb added to those of Gopher and C4 (Penedo et al. 2024, arXiv:2406.17557,
section 3.6), for text of the web: lists, menus, and what is broken into short lines.

The limits are those of datatrove's filter, with which FineWeb was made. The paper has 0.1 for the
characters of duplicate lines, and does not name the fourth rule. Other than there, a line ends as a
sentence, too, where quotation marks or brackets close behind the mark: dialogue is no list.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules.rule import Limits, apply_rules, rules_of


@dataclass(frozen=True, kw_only=True)
class FineWeb:
    """Its limits; a line is short that has 30 characters or fewer."""

    title: ClassVar[str] = "FineWeb quality"

    ended_lines: Limits = Limits(min=0.12)
    short_lines: Limits = Limits(max=0.67)
    duplicate_line_characters: Limits = Limits(max=0.01)
    newlines_per_word: Limits = Limits(max=0.3)

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        return apply_rules(rules_of(self), documents, notes)
