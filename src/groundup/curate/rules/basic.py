"""Moderate rules, for prose and source code alike: they drop what nobody would want to train on
(dumps, tables, broken extractions), and do not judge taste.

The limits were set after measuring Python's standard library (3.11) and 22 MB of English prose (16
books, Shakespeare's plays, articles of an encyclopedia), and lie well beyond everything in them:

    rule                        worst of the library                of the prose     limit
    longest_line                175 characters                      2,536            100,000
    duplicate_line_characters   0.34 (bisect.py: its two halves     0.07 (plays)     0.5
                                differ in a word)
    visible_letters             0.37 (stringprep.py: code points)   0.91             0.3
    control_characters          0                                   0                0.01
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules.rule import Limits, apply_rules, rules_of


@dataclass(frozen=True, kw_only=True)
class Basic:
    """characters: fewer than a line of text would teach where documents end, and little else.
    control_characters: binary data, or text that was decoded with the wrong encoding.
    longest_line: minified code, encoded data, a dump.
    duplicate_line_characters: lines that were there before make up most of the text. Gopher's
    limit of 0.2 would drop good source code.
    visible_letters: a table of numbers or a drawing has hardly a letter.
    """

    title: ClassVar[str] = "basic quality"

    characters: Limits = Limits(min=20)
    control_characters: Limits = Limits(max=0.01)
    longest_line: Limits = Limits(max=100_000)
    duplicate_line_characters: Limits = Limits(max=0.5)
    visible_letters: Limits = Limits(min=0.3)

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        return apply_rules(rules_of(self), documents, notes)
