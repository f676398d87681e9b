"""`--budget`: `90s`, `10m`, `1.5h` (time on this machine) or `1e16`, `1e17flops` (computation)."""

import re
from dataclasses import dataclass

from groundup.core.errors import InputError

_FAST_DEVICE = 5e12  # FLOP/s of training: more than processors do, less than a large GPU
_BYTES_A_TOKEN = 5
_LEAST_BYTES = 20_000_000

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One of the two is set. seconds: wall time of the whole job. flops: of all its training."""

    text: str
    seconds: float | None = None
    flops: float | None = None


def usable_bytes(budget: Budget) -> int:
    """More text than this the budget cannot read even once: do not fetch it.

    C = 6·N·D with D = 20·N (see `scaling.plan`), at about five bytes a token; a budget in time is
    taken as that of a fast device.
    """
    flops = budget.flops or (budget.seconds or 0.0) * _FAST_DEVICE
    return int(_LEAST_BYTES + _BYTES_A_TOKEN * (flops * 20 / 6) ** 0.5)


def parse_budget(text: str) -> Budget:
    """Raises `InputError` with the accepted forms for anything else."""
    match = re.fullmatch(r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*(s|m|h|d|flops?)?", text.strip().lower())
    try:
        value = float(match[1]) if match else 0.0
    except ValueError:
        value = 0.0
    if not match or not 0 < value < float("inf"):
        raise InputError(f"'{text}' is not a budget: write minutes as 10m, or FLOPs as 1e16.")
    unit = match[2] or "flops"
    if unit in _UNITS:
        return Budget(text=text, seconds=value * _UNITS[unit])
    if value < 1e6:
        raise InputError(f"'{text}' has no unit: write minutes as 10m, or FLOPs as 1e16.")
    return Budget(text=text, flops=value)
