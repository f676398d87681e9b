import sys

import pytest

from groundup.core.errors import InputError
from groundup.verifiers.loading import load_verifier
from groundup.verifiers.verifier import Verdict, verify_batch

SOURCE = """
from dataclasses import dataclass
from groundup.verifiers.verifier import Verdict

def short(problem, completion):
    return Verdict(float(len(completion) <= problem["limit"]), "measured")

@dataclass(frozen=True)
class Shorter:
    limit: int
    def __call__(self, problem, completion):
        return Verdict(float(len(completion) < self.limit), "measured")

strict = Shorter(2)
number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "json.py"  # a name that the standard library has too
    path.write_text(SOURCE)
    return path


def test_a_function_or_an_instance_is_loaded_from_a_file(file):
    problem = {"limit": 3}
    assert load_verifier(f"{file}:short")(problem, "abc") == Verdict(1.0, "measured")
    assert load_verifier(f"{file}:strict")(problem, "abc") == Verdict(0.0, "measured")


def test_a_file_does_not_take_the_place_of_a_module_of_its_name(file):
    import json

    load_verifier(f"{file}:short")
    assert sys.modules["json"] is json


def test_a_function_is_loaded_from_a_module(file, monkeypatch):
    file.rename(file.with_name("my_verifiers.py"))
    monkeypatch.syspath_prepend(file.parent)
    verifier = load_verifier("my_verifiers:short")
    assert verify_batch(verifier, [({"limit": 1}, "a")]) == [Verdict(1.0, "measured")]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("short", "write MODULE:NAME or FILE.py:NAME"),
        (":short", "write MODULE:NAME or FILE.py:NAME"),
        ("{file}:", "write MODULE:NAME or FILE.py:NAME"),
        ("nowhere.py:short", "nowhere.py does not exist"),
        ("no_such_module:short", "for a file of yours, write FILE.py:NAME"),
        ("{file}:long", "defines no 'long'"),
        ("{file}:number", "'number' in .* is not a verifier"),
        ("{file}:Shorter", "an instance of a class"),
        ("{broken}:short", r"cannot be imported \(ZeroDivisionError"),
        ("{unparsable}:short", r"cannot be imported \(SyntaxError"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(spec, sentence, file, tmp_path):
    broken, unparsable = tmp_path / "broken.py", tmp_path / "unparsable.py"
    broken.write_text("1 / 0")
    unparsable.write_text("def")
    with pytest.raises(InputError, match=sentence) as raised:
        load_verifier(spec.format(file=file, broken=broken, unparsable=unparsable))
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")
