"""How much memory the process uses and the machine has left, and giving back what is not used."""

import ctypes
import gc
import resource
import sys
from pathlib import Path


def peak_memory_bytes() -> int:
    """The largest resident set of this process and of its children so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return unit * max(resource.getrusage(who).ru_maxrss for who in whose)


def resident_bytes() -> int | None:
    """Memory that the process holds now (proc(5), /proc/PID/statm); None where that is not told."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else None


def available_bytes() -> int | None:
    """Memory that programs can still have (proc(5), /proc/meminfo); None where that is not told."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.exists() else []
    told = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return next((1024 * int(kibibytes) for kibibytes in told), None)


def release_memory() -> None:
    """Give freed memory back to the system.

    `tune_cpu` keeps it in the process, which is faster within a stage. But the next stage asks for
    other sizes, and would find it in pieces that fit badly.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)
