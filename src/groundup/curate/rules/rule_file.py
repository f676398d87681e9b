"""Rules that users write, as TOML, without code:

    [[rules]]
    measure = "words"            # a name of `measures.MEASURES`
    min = 20
    max = 5_000

    [[rules]]
    name = "invitations"         # in the notes; otherwise the measure, or the pattern
    pattern = '(?i)\\bclick here\\b'
    max_matches = 3

A pattern is a regular expression of the `regex` package; its matches in the text are counted.
"""

import difflib
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import regex

from groundup.core.config import from_dict
from groundup.core.errors import ConfigError, InputError, os_error_sentence
from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules.measures import MEASURES, Measure
from groundup.curate.rules.rule import Limits, Rule, apply_rules
from groundup.curate.rules.text_view import TextView

SECONDS = 10  # after which the search of a text is given up: some patterns take years for some


@dataclass(frozen=True, kw_only=True)
class RuleFile:
    """path: of the rules, which are applied in their order."""

    title: ClassVar[str] = "rules of a file"

    path: str

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        return apply_rules(read_rules(Path(self.path)), documents, notes)


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file; `InputError` where it cannot be read, or one of them makes no sense."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(os_error_sentence(error)) from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise InputError(f"{path} is not valid TOML: {error}.") from error
    try:
        rules = [table.rule() for table in from_dict(_File, tables).rules]
    except ConfigError as error:
        raise InputError(f"{path}: {str(error).rstrip('.')}.") from error
    if not rules:
        raise InputError(f"{path} has no rule: write [[rules]], and below it what is measured.")
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: two rules are called '{name}': give one another name.")
    return rules


@dataclass(frozen=True, kw_only=True)
class _Table:
    measure: str | None = None
    pattern: str | None = None
    name: str | None = None
    min: float | None = None
    max: float | None = None
    min_matches: int | None = None
    max_matches: int | None = None

    def __post_init__(self) -> None:
        given = {key for key, value in vars(self).items() if value is not None}
        what, limits = given & {"measure", "pattern"}, given - {"measure", "pattern", "name"}
        if len(what) != 1:
            raise ValueError("a rule has either a measure or a pattern")
        known = {"min", "max"} if self.measure is not None else {"min_matches", "max_matches"}
        if not limits or limits - known:
            raise ValueError(f"a rule with a {what.pop()} needs {' or '.join(sorted(known))}")
        if self.measure is not None and self.measure not in MEASURES:
            nearest = difflib.get_close_matches(self.measure, MEASURES, n=1, cutoff=0.0)
            raise ValueError(f"there is no measure '{self.measure}'; did you mean '{nearest[0]}'")
        self.rule()

    def rule(self) -> Rule:
        if self.pattern is None:
            assert self.measure is not None
            limits = Limits(min=self.min, max=self.max)
            return Rule(self.name or self.measure, MEASURES[self.measure], limits)
        try:
            matches = _Matches(regex.compile(self.pattern))
        except regex.error as error:
            raise ValueError(
                f"the pattern '{self.pattern}' is no regular expression ({error})"
            ) from error
        limits = Limits(min=self.min_matches, max=self.max_matches)
        measure = Measure(matches, f"has {{}} matches of '{self.pattern}'")
        return Rule(self.name or self.pattern, measure, limits)


@dataclass(frozen=True, kw_only=True)
class _File:
    rules: tuple[_Table, ...] = ()


@dataclass(frozen=True)
class _Matches:
    pattern: "regex.Pattern[str]"

    def __call__(self, text: TextView) -> int:
        try:
            return sum(1 for _ in self.pattern.finditer(text.text, timeout=SECONDS))
        except TimeoutError as error:
            raise TimeoutError(
                f"takes longer than {SECONDS} seconds to search for '{self.pattern.pattern}'"
            ) from error
