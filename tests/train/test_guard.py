"""The guard's rules: what is refused, and when the training is stopped."""

import json
import math
import random
import statistics

import pytest

from groundup.checkpoint import Retention
from groundup.train.guard import Guard, Watch

NAN, INFINITY = float("nan"), float("inf")


def actions(watch: Watch, losses: list[float], norms: list[float] | None = None) -> list[str]:
    norms = norms or [1.0] * len(losses)
    steps = enumerate(zip(losses, norms, strict=True), start=1)
    incidents = [watch.judge(step, loss, norm, []) for step, (loss, norm) in steps]
    return [incident.action if incident else "made" for incident in incidents]


@pytest.mark.parametrize(("loss", "norm"), [(NAN, 1.0), (INFINITY, 1.0), (1.0, NAN), (1, INFINITY)])
def test_what_is_not_finite_is_refused_from_the_first_step(loss: float, norm: float) -> None:
    assert actions(Watch(Guard()), [loss], [norm]) == ["skip"]
    assert actions(Watch(Guard(on_nonfinite="stop")), [loss], [norm]) == ["stop"]


def test_one_refused_step_more_than_its_patience_stops_the_training() -> None:
    watch = Watch(Guard(patience=2, window=10))
    assert actions(watch, [NAN, 1.0, NAN, 1.0, NAN]) == ["skip", "made", "skip", "made", "stop"]
    assert actions(Watch(Guard(patience=0)), [NAN]) == ["stop"]


def test_what_was_refused_a_window_ago_is_forgiven() -> None:
    losses = [NAN, *[1.0] * 9, NAN, *[1.0] * 9, NAN]
    assert "stop" not in actions(Watch(Guard(patience=1, window=10)), losses)
    assert actions(Watch(Guard(patience=1, window=11)), losses)[10] == "stop"


@pytest.mark.parametrize("which", ["loss", "norm"])
@pytest.mark.parametrize("seed", range(3))
def test_a_spike_lies_deviations_above_the_median(which: str, seed: int) -> None:
    """The bound of 50 values of a normal distribution, from their quantiles by NumPy's rule."""
    draw = random.Random(seed)
    values = [draw.gauss(3.0, 0.1) for _ in range(50)]
    middle = statistics.quantiles(values, n=2, method="inclusive")[0]
    spread = statistics.quantiles([abs(v - middle) for v in values], n=2, method="inclusive")[0]
    bound = middle + 8 * spread / statistics.NormalDist().inv_cdf(0.75)
    for value, expected in ((bound * 1.001, "rollback"), (bound * 0.999, "made"), (0.0, "made")):
        watch = Watch(Guard(on_spike="rollback", deviations=8, window=50))
        history = [*values, value]
        flat = [1.0] * len(history)
        found = actions(watch, *((history, flat) if which == "loss" else (flat, history)))
        assert found == ["made"] * 50 + [expected]


def test_spikes_are_looked_for_once_half_a_window_has_been_seen() -> None:
    values = [1.0, 1.1, 1.2, 100.0, 1.0, 100.0]
    watch = Watch(Guard(on_spike="skip", window=8))
    assert actions(watch, values) == ["made", "made", "made", "made", "made", "skip"]
    assert "skip" not in actions(Watch(Guard(window=8)), values)  # they are not, unless asked for


def test_refused_steps_do_not_move_the_median() -> None:
    values = [1.0, 1.1, 1.2, 1.3, *[100.0] * 4]
    watch = Watch(Guard(on_spike="skip", window=4, patience=100))
    assert actions(watch, values) == ["made"] * 4 + ["skip"] * 4


def test_values_without_spread_are_no_measure_of_a_spike() -> None:
    assert actions(Watch(Guard(on_spike="skip", window=4)), [1.0] * 6 + [1.1]) == ["made"] * 7


def test_the_state_as_json_goes_on_where_it_was() -> None:
    draw = random.Random(0)
    values = [math.exp(draw.gauss(0, 1)) for _ in range(200)]
    guard = Guard(on_spike="skip", deviations=2, window=16, patience=4)
    whole = Watch(guard)
    expected = [whole.judge(step, value, 1 / value, []) for step, value in enumerate(values)]
    assert {incident.action for incident in expected if incident} == {"skip", "stop"}
    watch = Watch(guard)
    for step, value in enumerate(values):
        state = json.loads(json.dumps(watch.state()))
        watch = Watch(guard)
        watch.load(state)
        assert watch.judge(step, value, 1 / value, []) == expected[step]


@pytest.mark.parametrize("wrong", [{"deviations": 0.0}, {"window": 1}, {"patience": -1}])
def test_bounds_must_make_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Guard(**wrong)


def test_a_rollback_needs_checkpoints_of_fixed_steps() -> None:
    for guard in (Guard(on_spike="rollback"), Guard(on_nonfinite="rollback")):
        guard.check(Retention(every=10))
        with pytest.raises(ValueError, match="set retention.every"):
            guard.check(Retention())
    Guard().check(Retention())
