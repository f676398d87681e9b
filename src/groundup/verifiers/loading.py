"""Load a user's verifier by name: `package.module:name` or `path/to/file.py:name`."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

from groundup.core.errors import InputError
from groundup.verifiers.verifier import Verifier


def load_verifier(spec: str) -> Verifier:
    """The verifier that `spec` names; its module is imported, so it runs with the user's rights.

    Raises `InputError` where the module or file cannot be imported, or holds no such callable.
    """
    location, separator, name = spec.rpartition(":")
    if not separator or not location or not name:
        raise InputError(f"'{spec}' names no verifier: write MODULE:NAME or FILE.py:NAME.")
    is_file = location.endswith(".py")
    if is_file and not Path(location).is_file():
        raise InputError(f"the verifier's file {location} does not exist.")
    try:
        module = _import_file(Path(location)) if is_file else importlib.import_module(location)
    except Exception as error:
        hint = "" if is_file else "; for a file of yours, write FILE.py:NAME"
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"the verifier {location} cannot be imported ({reason}){hint}.") from error
    if not hasattr(module, name):
        raise InputError(f"{location} defines no '{name}'.")
    verifier = getattr(module, name)
    if isinstance(verifier, type) or not callable(verifier):
        raise InputError(
            f"'{name}' in {location} is not a verifier: name a function, or an instance "
            "of a class, that takes a problem and a completion."
        )
    return cast(Verifier, verifier)


def _import_file(path: Path) -> ModuleType:
    name = f"_verifier_{path.stem}"  # a user's json.py must not take the place of json
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the path ends in .py, for which there is always a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up while it loads
    spec.loader.exec_module(module)
    return module
