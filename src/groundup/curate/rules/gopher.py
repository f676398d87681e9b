"""The rules of MassiveText, on which Gopher was trained (Rae et al. 2021, arXiv:2112.11446,
appendix A.1.1), for English text of the web.

The paper says what is measured and the limits, and leaves open what a word is, and whether the
first of several equal lines is a duplicate: see `words`, `rows` and `measures`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules.rule import Limits, apply_rules, rules_of


@dataclass(frozen=True, kw_only=True)
class Gopher:
    """Quality filtering: what is no running text."""

    title: ClassVar[str] = "Gopher quality"

    words: Limits = Limits(min=50, max=100_000)
    mean_word_length: Limits = Limits(min=3, max=10)
    hashes_per_word: Limits = Limits(max=0.1)
    ellipses_per_word: Limits = Limits(max=0.1)
    bullet_lines: Limits = Limits(max=0.9)
    ellipsis_lines: Limits = Limits(max=0.3)
    words_with_letter: Limits = Limits(min=0.8)
    stop_words: Limits = Limits(min=2)

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        return apply_rules(rules_of(self), documents, notes)


@dataclass(frozen=True, kw_only=True)
class GopherRepetition:
    """Repetition removal (table A1): what says the same again and again."""

    title: ClassVar[str] = "Gopher repetition"

    duplicate_paragraphs: Limits = Limits(max=0.3)
    duplicate_paragraph_characters: Limits = Limits(max=0.2)
    duplicate_lines: Limits = Limits(max=0.3)
    duplicate_line_characters: Limits = Limits(max=0.2)
    top_2_gram: Limits = Limits(max=0.2)
    top_3_gram: Limits = Limits(max=0.18)
    top_4_gram: Limits = Limits(max=0.16)
    duplicate_5_grams: Limits = Limits(max=0.15)
    duplicate_6_grams: Limits = Limits(max=0.14)
    duplicate_7_grams: Limits = Limits(max=0.13)
    duplicate_8_grams: Limits = Limits(max=0.12)
    duplicate_9_grams: Limits = Limits(max=0.11)
    duplicate_10_grams: Limits = Limits(max=0.1)

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        return apply_rules(rules_of(self), documents, notes)
