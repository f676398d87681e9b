"""Rules for source code: what is generated or data breaks them, and a library does not."""

import base64
import random
import sysconfig
import tokenize
from pathlib import Path

import pytest

from groundup.curate.rules import Code
from groundup.curate.rules.rule import rules_of
from groundup.curate.rules.text_view import TextView

CODE = "".join(f"def double_{n}(x):\n    return {n} * x + x\n\n\n" for n in range(20))
DATA = random.Random(0).randbytes(900)


def broken(text: str) -> set[str]:
    view = TextView(text)
    return {rule.name for rule in rules_of(Code()) if rule.reason(rule.measure.of(view))}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (CODE, set()),
        ("def f(): pass\n" * 100_001, {"lines"}),
        (CODE.replace("\n", ";") * 2, {"mean_line_length", "longest_line"}),
        (CODE + "# " + "what a line " * 100, {"longest_line"}),
        ("// 1, 2, 3, 4, 5, 6, 7, 8\n" * 20, {"letters"}),
        ("# (+) [-] {*} </>\n" * 20, {"alphanumerics", "letters"}),
        ("// Code generated automatically\n" + CODE, {"generated_marks"}),
        ('<?xml version="1.0"?>\n<a>What is said in markup</a>\n', {"xml_headers"}),
        (CODE + base64.encodebytes(DATA).decode(), {"encoded", "longest_encoded"}),
        (CODE + base64.encodebytes(DATA[:600]).decode(), set()),
        (CODE * 2 + "x = '" + ",".join(f"0x{byte:02x}" for byte in DATA[:180]) + "'\n", set()),
    ],
)
def test_files_break_the_rules(text: str, rules: set[str]) -> None:
    assert broken(text) == rules


def test_the_standard_library_is_kept() -> None:
    """All but files that are data, of the modules that stand by themselves."""
    library = Path(sysconfig.get_path("stdlib"))
    rules: dict[str, set[str]] = {}
    for path in library.glob("*.py"):
        with tokenize.open(path) as file:
            rules[path.name] = broken(file.read())
    assert len(rules) > 100
    assert sum(map(bool, rules.values())) <= 0.03 * len(rules)
