from groundup.curate.rules import FineWeb
from groundup.curate.rules.rule import rules_of
from groundup.curate.rules.text_view import TextView

LINE = "This is a line of some length that ends with a point"


def broken(text: str) -> set[str]:
    view = TextView(text)
    return {rule.name for rule in rules_of(FineWeb()) if rule.reason(rule.measure.of(view))}


def test_pages_break_the_rules() -> None:
    page = "\n".join(f"{LINE} {n}." for n in range(10))
    assert broken(page) == set()
    assert broken(page.replace(".", ",")) == {"ended_lines"}
    assert broken(page + "\nhe said.." * 1) == set()
    assert broken(page + "".join(f"\nHe said so {n}." for n in range(21))) == {"short_lines"}
    assert broken(page + "\n" + page.split("\n")[0]) == {"duplicate_line_characters"}
    assert broken(page.replace(" ", "-")) == {"newlines_per_word"}


def test_one_line_of_eight_that_ends_is_enough() -> None:
    lines = [f"{LINE} {n}" for n in range(8)]
    assert broken("\n".join(lines)) == {"ended_lines"}
    assert broken("\n".join([*lines[:7], lines[7] + "."])) == set()
