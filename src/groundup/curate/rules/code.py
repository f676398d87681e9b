"""Rules for files of source code: what was not written by hand, or is data.

    rule                                    published with
    mean and longest line                   Codex (Chen et al. 2021, arXiv:2107.03374, section 3.1)
    letters and digits                      CodeParrot, The Stack (Kocetkov et al. 2022)
    XML in files of other names             StarCoder (Li et al. 2023, arXiv:2305.06161, section 3)
    lines, letters, encoded data, marks     The Stack v2 (Lozhkov et al. 2024, arXiv:2402.19173,
    of generated code                       section 2.1), whose limits are taken for all

Some languages need other limits: markup and data have long lines, assembly few letters (`letters`
is for all but those, `alphanumerics` for those too), and XML its header.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules.rule import Limits, apply_rules, rules_of


@dataclass(frozen=True, kw_only=True)
class Code:
    """The limits; lines are counted with blank ones and their indentation."""

    title: ClassVar[str] = "source code"

    lines: Limits = Limits(max=100_000)
    mean_line_length: Limits = Limits(max=100)
    longest_line: Limits = Limits(max=1000)
    alphanumerics: Limits = Limits(min=0.25)
    letters: Limits = Limits(min=0.25)
    generated_marks: Limits = Limits(max=0)
    xml_headers: Limits = Limits(max=0)
    encoded: Limits = Limits(max=0.5)
    longest_encoded: Limits = Limits(max=1024)

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        return apply_rules(rules_of(self), documents, notes)
