"""How much memory the process has used, and giving back what it no longer does."""

import ctypes
import gc
import resource
import sys


def peak_memory_bytes() -> int:
    """The largest resident set of this process and of its children so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return unit * max(resource.getrusage(who).ru_maxrss for who in whose)


def release_memory() -> None:
    """Give freed memory back to the system.

    `tune_cpu` keeps it in the process, which is faster within a stage. But the next stage asks for
    other sizes, and would find it in pieces that fit badly.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)
