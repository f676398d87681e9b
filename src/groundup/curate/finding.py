"""Which files a path stands for: itself, those below a folder, or those that match a pattern."""

import os
import re
from glob import glob
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from groundup.core.errors import InputError

_PATTERN = re.compile(r"[*?[]")
# Files that are in folders of what was built or installed, and say so (CACHEDIR.TAG:
# https://bford.info/cachedir).
_SIGNS = ("CACHEDIR.TAG", "CMakeCache.txt", "pyvenv.cfg")
_INSTALLED = "node_modules"
_UNSEEN = "__pycache__"


class Found(NamedTuple):
    """names: of files, relative to the folder `root`, in order. skipped: folders that were not
    looked into, with the reason."""

    root: Path
    names: list[str]
    skipped: list[tuple[str, str]]


def find_files(path: Path) -> Found:
    """The files that a path stands for, sorted by name.

    In a pattern, `*`, `?` and `[…]` stand for characters of a name, and `**` for any folders.
    Hidden files and folders, and `__pycache__`, are left out. Below a folder, links to folders are
    not followed, and folders of what was built or installed are skipped. Raises `InputError` where
    there is nothing.
    """
    if path.is_dir():
        return _below(path)
    if path.exists():
        return Found(path.parent, [path.name], [])
    if _PATTERN.search(str(path)):
        return _matching(path)
    raise InputError(f"{path} does not exist: check the path.")


def _below(folder: Path) -> Found:
    names: list[str] = []
    skipped: list[tuple[str, str]] = []

    def unreadable(error: OSError) -> None:
        name = Path(error.filename).relative_to(folder).as_posix()
        skipped.append((name, f"is a folder that cannot be read ({error.strerror})"))

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        below = Path(parent).relative_to(folder)
        sign = next((sign for sign in _SIGNS if sign in files), None)
        if sign and below != Path():
            skipped.append((below.as_posix(), f"is a folder of what was built (it has {sign})"))
            folders.clear()
            continue
        if _INSTALLED in folders:
            skipped.append(((below / _INSTALLED).as_posix(), "is a folder of what was installed"))
        left_out = (_UNSEEN, _INSTALLED)
        folders[:] = [f for f in folders if not f.startswith(".") and f not in left_out]
        names += [(below / file).as_posix() for file in files if not file.startswith(".")]
    return Found(folder, sorted(names), sorted(skipped))


def _matching(pattern: Path) -> Found:
    first = next(number for number, part in enumerate(pattern.parts) if _PATTERN.search(part))
    root = Path(*pattern.parts[:first])
    below = str(Path(*pattern.parts[first:]))
    matches = glob(below, root_dir=root, recursive=True)  # noqa: PTH207 (it leaves out hidden ones)
    names = [
        name
        for name in matches
        if (root / name).is_file() and _UNSEEN not in PurePosixPath(name).parts
    ]
    if not names:
        raise InputError(f"there is no file {pattern}: check the pattern.")
    return Found(root, sorted(set(names)), [])  # two ** find a file more than once
