"""The corpus that is on every machine: the sources of the running Python's standard library.

About 12 MB of code and prose in some 730 files (Python 3.11), by many authors, all of which parse.
"""

import os
import sysconfig
from pathlib import Path

from groundup.core.errors import InputError
from groundup.curate.local import LocalFiles, fingerprint_files

_LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


def standard_library() -> LocalFiles:
    """Every `.py` file of the standard library but its tests, sorted by name.

    Raises `InputError` where this Python was installed without sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    names = []
    for parent, folders, files in os.walk(root):
        folders[:] = [folder for folder in folders if folder not in _LEFT_OUT]
        below = Path(parent).relative_to(root)
        names += [(below / file).as_posix() for file in files if file.endswith(".py")]
    if not names:
        raise InputError(
            f"this Python has no sources of its standard library in {root}: use --data with "
            "files of yours."
        )
    found = tuple(sorted(names))
    return LocalFiles("stdlib", "PSF-2.0", root, found, fingerprint_files(root, found))
