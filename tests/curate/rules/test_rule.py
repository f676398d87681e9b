"""What all sets of rules have in common."""

import pickle
from typing import get_args

import pytest

from groundup.core.config import apply_overrides, from_dict, to_dict
from groundup.core.errors import ConfigError
from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules import C4, Basic, Code, FineWeb, Gopher, GopherRepetition, Limits
from groundup.curate.rules.measures import MEASURES
from groundup.curate.rules.rule import Rule, rules_of
from groundup.curate.step import Step

Set = Basic | Code | FineWeb | Gopher | GopherRepetition
SETS = [kind() for kind in get_args(Set)]


def nowhere(record: object) -> None:
    del record


@pytest.mark.parametrize("rules", SETS, ids=lambda rules: type(rules).__name__)
def test_a_set_is_a_config_and_a_step(rules: Set) -> None:
    step: Step = rules
    assert step.title
    assert {rule.name for rule in rules_of(rules)} <= MEASURES.keys()
    assert from_dict(type(rules), to_dict(rules)) == rules
    assert pickle.loads(pickle.dumps(rules)) == rules


def test_titles_differ() -> None:
    assert len({rules.title for rules in [*SETS, C4()]}) == len(SETS) + 1


def test_limits_are_changed_one_by_one_and_taken_away() -> None:
    rules = apply_overrides(Gopher(), ["words.min=5", "stop_words.min=none"])
    assert rules.words == Limits(min=5, max=100_000)
    assert rules.stop_words == Limits()
    with pytest.raises(ConfigError, match="did you mean 'words.min'"):
        apply_overrides(Gopher(), ["words.mim=5"])
    with pytest.raises(ConfigError, match="min must not be above max"):
        apply_overrides(Gopher(), ["words.max=5"])


def reason(name: str, value: float, least: float | None, most: float | None) -> str | None:
    return Rule(name, MEASURES[name], Limits(min=least, max=most)).reason(value)


def test_limits_themselves_are_well() -> None:
    assert reason("words", 50, 50, 50) is None
    assert reason("words", 49, 50, None) == "has 49 words, fewer than 50"
    assert reason("words", 1_000_001, 50, 1e6) == "has 1,000,001 words, more than 1,000,000"
    assert reason("words", 7, None, None) is None


def test_figures_have_as_many_digits_as_tell_them_apart() -> None:
    assert reason("letters", 0.1, 0.25, None) == "has 10% of letters, fewer than 25%"
    assert reason("letters", 0.249, 0.25, None) == "has 24.9% of letters, fewer than 25.0%"
    assert reason("letters", 0.24999, 0.25, None) == "has 24.999% of letters, fewer than 25.000%"


def test_every_rule_measures_every_document_and_the_first_that_is_broken_rejects_it() -> None:
    records: list[dict[str, str]] = []
    notes = Notes("gopher", records.append)
    good = Document("The cat has to be with the dog, and that is that. " * 10, "good", "s")
    bad = Document("# # #", "bad", "s")
    assert list(Gopher().apply([bad, good], notes)) == [good]
    assert [(record["id"], record["rule"]) for record in records] == [("bad", "words")]
    assert notes.rejected == {"words": 1}
    assert notes.values.keys() == {rule.name for rule in rules_of(Gopher())}
    assert all(values.total() == 2 for values in notes.values.values())
    assert notes.values["words"] == {"3": 1, "1.2e+02": 1}


def test_nothing_is_held_back() -> None:
    """A document comes out before the next goes in."""
    asked = []

    def documents():
        for number in range(3):
            asked.append(number)
            yield Document("x" * 30, str(number), "s")

    passed = Basic().apply(documents(), Notes("basic", nowhere))
    assert next(passed).id == "0"
    assert asked == [0]
