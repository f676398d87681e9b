"""Which checkpoints stay."""

import pytest

from groundup.checkpoint import Retention


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (Retention(), {95}),
        (Retention(last=3), {95, 90, 80}),
        (Retention(every=40), {95, 80, 40}),
        (Retention(last=2, every=30), {95, 90, 30, 60}),
        (Retention(last=100), {10, 20, 30, 40, 60, 80, 90, 95}),
    ],
)
def test_the_newest_and_those_of_fixed_steps_stay(retention: Retention, kept: set[int]) -> None:
    steps = [30, 10, 20, 95, 40, 80, 90, 60]
    assert retention.kept(steps) == kept
    assert Retention().kept([]) == set()


@pytest.mark.parametrize("wrong", [{"last": 0}, {"every": -1}])
def test_the_newest_is_never_given_up(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="last must be at least 1"):
        Retention(**wrong)
