"""Rules of a file: what they do, and one sentence for each way to get them wrong."""

import pickle
from pathlib import Path

import pytest

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import InputError
from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules import RuleFile, rule_file
from groundup.curate.rules.rule_file import read_rules
from groundup.curate.step import Step

RULES = r"""
[[rules]]
measure = "words"
min = 3
max = 5_000

[[rules]]
name = "invitations"
pattern = '(?i)\bclick {1,2}here\b'
max_matches = 1

[[rules]]
pattern = "[.?!]"
min_matches = 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES, encoding="utf-8")
    return path


def test_rules_measure_and_search(path: Path) -> None:
    records: list[dict[str, str]] = []
    notes = Notes("rules", records.append)
    texts = ["Click here, please.", "Too short.", "Click here, or click  HERE.", "No point at all"]
    documents = [Document(text, text, "s") for text in texts]
    assert list(RuleFile(path=str(path)).apply(documents, notes)) == documents[:1]
    assert [(record["rule"], record["reason"]) for record in records] == [
        ("words", "has 2 words, fewer than 3"),
        ("invitations", r"has 2 matches of '(?i)\bclick {1,2}here\b', more than 1"),
        ("[.?!]", "has 0 matches of '[.?!]', fewer than 1"),
    ]
    assert notes.values["invitations"] == {"0": 2, "1": 1, "2": 1}


def test_it_is_a_config_and_a_step(path: Path) -> None:
    step: Step = RuleFile(path=str(path))
    assert from_dict(RuleFile, to_dict(step)) == step
    assert pickle.loads(pickle.dumps(step)) == step


def test_a_search_without_end_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("[[rules]]\npattern = '(a|aa)+$'\nmax_matches = 0\n")
    monkeypatch.setattr(rule_file, "SECONDS", 0.1)
    records: list[dict[str, str]] = []
    texts = ["a" * 100 + "b", "ab"]
    passed = RuleFile(path=str(path)).apply(
        [Document(text, text, "s") for text in texts], Notes("rules", records.append)
    )
    assert [document.text for document in passed] == ["ab"]
    assert records[0]["reason"] == "takes longer than 0.1 seconds to search for '(a|aa)+$'"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[rules]", r"is not valid TOML: Expected '\]\]'.* \(at line 1, column 8\)\."),
        ("", r"has no rule: write \[\[rules\]\], and below it what is measured\."),
        ("[[rule]]", r": there is no setting 'rule'; did you mean 'rules'\."),
        ("rules = 3", r": rules is 3: it must be a list\."),
        (
            "[[rules]]\nmeasure = 'wrods'\nmin = 1",
            r": rules\[0\]: there is no measure 'wrods'; did you mean 'words'\.",
        ),
        ("[[rules]]\nmeasure = 'words'", r": rules\[0\]: a rule with a measure needs max or min\."),
        (
            "[[rules]]\nmeasure = 'words'\nmax_matches = 1",
            r": rules\[0\]: a rule with a measure needs max or min\.",
        ),
        (
            "[[rules]]\npattern = 'a'\nmin = 1",
            r": rules\[0\]: a rule with a pattern needs max_matches or min_matches\.",
        ),
        ("[[rules]]\nmin = 1", r": rules\[0\]: a rule has either a measure or a pattern\."),
        (
            "[[rules]]\nmeasure = 'words'\nmin = 'x'",
            r": rules\[0\]\.min is 'x': it must be of type float\.",
        ),
        (
            "[[rules]]\nmeasure = 'words'\nmin = 3\nmax = 2",
            r": rules\[0\]: min must not be above max\.",
        ),
        (
            "[[rules]]\npattern = '('\nmax_matches = 1",
            r": rules\[0\]: the pattern '\(' is no regular expression "
            r"\(missing \) at position 1\)\.",
        ),
        (
            "[[rules]]\nmeasure = 'words'\nmin = 1\n" * 2,
            r": two rules are called 'words': give one another name\.",
        ),
        (
            "[[rules]]\nmeasure = 'words'\nminimum = 1",
            r": there is no setting 'rules\[0\]\.minimum'; did you mean 'min'\.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(path: Path, text: str, sentence: str) -> None:
    path.write_text(text)
    with pytest.raises(InputError, match=rf"^\S*rules\.toml\s?{sentence}$"):
        read_rules(path)


def test_a_file_that_cannot_be_read_is_said(path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.toml: No such file or directory\.$"):
        read_rules(path.with_name("missing.toml"))
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="is not valid TOML: 'utf-8' codec"):
        read_rules(path)
