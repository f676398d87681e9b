"""A recipe by its name, from a user's file, or from a saved config."""

from pathlib import Path

import pytest

from groundup.core.config import save_config
from groundup.core.errors import InputError
from groundup.recipes.experiment import Experiment, ablation
from groundup.recipes.load import load_recipe

KNOWN = {"ablation": ablation()}


def load(name: str) -> Experiment:
    return load_recipe(name, Experiment, KNOWN)


def test_a_name_a_function_and_a_saved_config_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from groundup.recipes.experiment import ablation\n")
    save_config(tmp_path / "config.json", ablation())
    expected = ablation()
    assert load("ablation") == expected
    assert load(f"{file}:ablation") == expected
    assert load(str(tmp_path / "config.json")) == expected


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ablatoin", "there is no recipe 'ablatoin': there are ablation; or give FILE.py"),
        ("nowhere.py:recipe", "nowhere.py does not exist"),
        ("{file}:nothing", "has no function nothing"),
        ("{file}:wrong", "returns a int, and here it must be a Experiment"),
    ],
)
def test_what_is_no_recipe_is_one_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def wrong():\n    return 3\n")
    with pytest.raises(InputError, match=sentence):
        load(name.format(file=file))
