"""How much memory the process has used."""

import resource
import sys


def peak_memory_bytes() -> int:
    """The largest resident set of this process and of its children so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return unit * max(resource.getrusage(who).ru_maxrss for who in whose)
