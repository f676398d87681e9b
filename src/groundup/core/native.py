"""The compiled core, groundup._native, where the installation could build it.

Elsewhere `core` is None and the references in Python serve: the same ids, and the same optimizer
steps and layers up to rounding (dropout draws other masks), more slowly.
The environment variable GROUNDUP_CORE=python chooses them as well.
"""

import logging
import os
from functools import cache

try:
    from groundup import _native
except ImportError:
    _native = None

core = None if os.environ.get("GROUNDUP_CORE") == "python" else _native


@cache
def say_if_missing() -> None:
    """Tell the user, once, that tokenization is slow here, and what to do."""
    if _native is None:
        logging.getLogger("groundup").warning(
            "groundup's compiled core is not installed, so tokenization runs in Python, about 50 "
            "times slower: install a C++17 compiler, then reinstall groundup."
        )


def cpu_threads(threads: int | None) -> int:
    """`threads`, or as many as this process has processors."""
    if threads is not None:
        return max(1, threads)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
