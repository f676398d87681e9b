"""The date of birth that many countries write into a person's number."""

from collections.abc import Sequence

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_month_and_day(month: int, day: int) -> bool:
    """Whether some year has the day."""
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def begins_with_date(digits: Sequence[int], order: str) -> bool:
    """Whether the first six are a date. order: `ymd` or `dmy`, two digits each."""
    pairs = (10 * a + b for a, b in zip(digits[0:6:2], digits[1:6:2], strict=True))
    parts = dict(zip(order, pairs, strict=True))
    return is_month_and_day(parts["m"], parts["d"])
