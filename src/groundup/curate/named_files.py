"""The files that a config names, as what is made with it depends on them."""

import re
from pathlib import Path
from typing import Any

from groundup.core.files import sha256_file, sha256_json

# Fields of steps that may hold a path. Any word could be the name of a folder somewhere.
_FIELDS = ("path", "model", "function", "bad_words", "extractor")
_FUNCTION = re.compile(r"\.py:.*", re.DOTALL)  # FILE.py:NAME


def named_files(said: Any, field: str = "") -> dict[str, str]:
    """Path → SHA-256 of the rules, models, functions and evaluations that a config in JSON names;
    of a folder over all files below it."""
    if isinstance(said, dict):
        return {n: sha for key, value in said.items() for n, sha in named_files(value, key).items()}
    if isinstance(said, list):
        return {n: sha for value in said for n, sha in named_files(value, field).items()}
    if field not in _FIELDS or not isinstance(said, str) or not said:
        return {}
    path = Path(_FUNCTION.sub(".py", said))
    if path.is_file():
        return {str(path): sha256_file(path)}
    below = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
    files = [[file.relative_to(path).as_posix(), sha256_file(file)] for file in below]
    return {str(path): sha256_json(files)} if below else {}
