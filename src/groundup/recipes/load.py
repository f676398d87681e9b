"""Find a recipe by what a user calls it: a name in `groundup.recipes`, a function in a file of
theirs, or a config that was saved.
"""

from pathlib import Path
from typing import TypeVar

from groundup.core.config import load_config
from groundup.core.errors import InputError
from groundup.core.users_code import import_file

Config = TypeVar("Config")


def load_recipe(name: str, kind: type[Config], known: dict[str, Config]) -> Config:
    """The config that `name` stands for: one of `known`, FILE.py:FUNCTION, or a config.json.

    Raises `InputError` where there is none, or where it is of another class than `kind`.
    """
    if name in known:
        return known[name]
    file, colon, function = name.rpartition(":")
    if colon and file.endswith(".py"):
        config = _call(Path(file), function)
    elif name.endswith(".json"):
        return load_config(kind, Path(name))
    else:
        names = f"there are {', '.join(known)}; or " if known else ""
        raise InputError(
            f"there is no recipe '{name}': {names}give FILE.py:FUNCTION, or a saved config.json."
        )
    if not isinstance(config, kind):
        raise InputError(
            f"{name} returns a {type(config).__name__}, and here it must be a {kind.__name__}."
        )
    return config


def _call(path: Path, function: str) -> object:
    if not path.is_file():
        raise InputError(f"{path} does not exist: give the file that the recipe is in.")
    recipe = getattr(import_file(path), function, None)  # the user's own code, asked for by name
    if not callable(recipe):
        raise InputError(f"{path} has no function {function}.")
    return recipe()
