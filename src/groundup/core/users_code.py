"""Functions of the user's own, by name: `package.module:name` or `path/to/file.py:name`."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from groundup.core.errors import InputError


def load_callable(spec: str, what: str, takes: str) -> Callable[..., Any]:
    """The function, or the instance of a class, that `spec` names; its module is imported, so it
    runs with the user's rights. what: it is called in sentences ("verifier"). takes: ends the
    sentence "name a function that takes …".

    Raises `InputError` where the module or file cannot be imported, or holds no such callable.
    """
    location, separator, name = spec.rpartition(":")
    if not separator or not location or not name:
        raise InputError(f"'{spec}' names no {what}: write MODULE:NAME or FILE.py:NAME.")
    is_file = location.endswith(".py")
    if is_file and not Path(location).is_file():
        raise InputError(f"the {what}'s file {location} does not exist.")
    try:
        module = import_file(Path(location)) if is_file else importlib.import_module(location)
    except Exception as error:
        hint = "" if is_file else "; for a file of yours, write FILE.py:NAME"
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"the {what} {location} cannot be imported ({reason}){hint}.") from error
    if not hasattr(module, name):
        raise InputError(f"{location} defines no '{name}'.")
    function = getattr(module, name)
    if isinstance(function, type) or not callable(function):
        raise InputError(
            f"'{name}' in {location} is not a {what}: name a function, or an instance of a class, "
            f"that takes {takes}."
        )
    return function


def import_file(path: Path) -> ModuleType:
    """The module of a `.py` file, which is run."""
    name = f"_user_{path.stem}"  # a user's json.py must not take the place of json
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the path ends in .py, for which there is always a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up while it loads
    spec.loader.exec_module(module)
    return module
