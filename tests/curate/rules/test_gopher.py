"""Gopher's rules: each is broken by a text that breaks no other."""

import pytest

from groundup.curate.rules import Gopher, GopherRepetition
from groundup.curate.rules.rule import rules_of
from groundup.curate.rules.text_view import TextView

LINE = "The keeper has to be with the boat, and that is all he knows of it."
PROSE = "\n".join(f"{LINE} It was {hour} when he left." for hour in ["one", "two", "six", "ten"])


def broken(rules: Gopher | GopherRepetition, text: str) -> set[str]:
    view = TextView(text)
    return {rule.name for rule in rules_of(rules) if rule.reason(rule.measure.of(view))}


def test_the_limits_are_those_of_the_paper() -> None:
    limits = {rule.name: (rule.limits.min, rule.limits.max) for rule in rules_of(Gopher())}
    assert limits == {
        "words": (50, 100_000),
        "mean_word_length": (3, 10),
        "hashes_per_word": (None, 0.1),
        "ellipses_per_word": (None, 0.1),
        "bullet_lines": (None, 0.9),
        "ellipsis_lines": (None, 0.3),
        "words_with_letter": (0.8, None),
        "stop_words": (2, None),
    }
    table = {rule.name: rule.limits.max for rule in rules_of(GopherRepetition())}
    assert table == {
        "duplicate_lines": 0.30,
        "duplicate_paragraphs": 0.30,
        "duplicate_line_characters": 0.20,
        "duplicate_paragraph_characters": 0.20,
        "top_2_gram": 0.20,
        "top_3_gram": 0.18,
        "top_4_gram": 0.16,
        "duplicate_5_grams": 0.15,
        "duplicate_6_grams": 0.14,
        "duplicate_7_grams": 0.13,
        "duplicate_8_grams": 0.12,
        "duplicate_9_grams": 0.11,
        "duplicate_10_grams": 0.10,
    }


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (PROSE, set()),
        (LINE, {"words"}),
        (PROSE * 1300, {"words"}),
        (PROSE + " a b" * 70, {"mean_word_length"}),
        (PROSE + " " + "x" * 999, {"mean_word_length"}),
        (PROSE + "#" * 9, {"hashes_per_word"}),
        (PROSE + " well..." * 6 + " … … … …", {"ellipses_per_word"}),
        ("\n".join("- " + line for line in PROSE.split("\n")), {"bullet_lines"}),
        (PROSE.replace("left.", "left..."), {"ellipsis_lines"}),
        (PROSE + " 1234" * 30, {"words_with_letter"}),
        ("Quickly keepers leave islands behind them again. " * 9, {"stop_words"}),
    ],
)
def test_texts_break_the_rules_of_quality(text: str, rules: set[str]) -> None:
    assert broken(Gopher(), text) == rules


def test_texts_break_the_rules_of_repetition() -> None:
    words = [f"w{n}" for n in range(400)]
    new = " ".join(words[:300])
    assert broken(GopherRepetition(), new) == set()
    lines = "\n".join(" ".join(words[n : n + 20]) + "\nreply" for n in range(0, 400, 20))
    assert broken(GopherRepetition(), lines) == {"duplicate_lines"}
    # 100 words again, some 30 % of the text
    again = new + "\n\n" + " ".join(words[100:200])
    assert broken(GopherRepetition(), again) == {f"duplicate_{n}_grams" for n in range(5, 11)}
    paragraphs = "\n\n".join([new, " ".join(words[300:]), " ".join(words[300:])])
    assert "duplicate_paragraphs" in broken(GopherRepetition(), paragraphs)
    assert "duplicate_paragraph_characters" in broken(GopherRepetition(), paragraphs)
    assert broken(GopherRepetition(), new + " New York" * 50) >= {"top_2_gram"}
