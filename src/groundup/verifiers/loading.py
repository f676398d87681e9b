"""Load a user's verifier by name: `package.module:name` or `path/to/file.py:name`."""

from typing import cast

from groundup.core.users_code import load_callable
from groundup.verifiers.verifier import Verifier


def load_verifier(spec: str) -> Verifier:
    """The verifier that `spec` names; its module is imported, so it runs with the user's rights.

    Raises `InputError` where the module or file cannot be imported, or holds no such callable.
    """
    return cast(Verifier, load_callable(spec, "verifier", "a problem and a completion"))
