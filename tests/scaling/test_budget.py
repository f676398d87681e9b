"""The budget's notation."""

import pytest

from groundup.core.errors import InputError
from groundup.scaling import parse_budget


@pytest.mark.parametrize(
    ("text", "seconds", "flops"),
    [
        ("90s", 90.0, None),
        ("10m", 600.0, None),
        ("1.5h", 5400.0, None),
        ("1d", 86400.0, None),
        ("1e16", None, 1e16),
        ("1e17flops", None, 1e17),
        (" 2.5E13 FLOP ", None, 2.5e13),
        ("20000000000000", None, 2e13),
    ],
)
def test_accepted_forms(text: str, seconds: float | None, flops: float | None) -> None:
    budget = parse_budget(text)
    assert (budget.seconds, budget.flops) == (seconds, flops)


@pytest.mark.parametrize("text", ["", "ten", "10", "-5m", "0m", "10x", "1..5m", "nan", "1e999"])
def test_anything_else_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match="write minutes as 10m, or FLOPs as 1e16"):
        parse_budget(text)
