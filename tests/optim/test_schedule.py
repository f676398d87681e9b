"""Schedules, point by point."""

import math

import pytest
import torch

from groundup.optim import Schedule, clip_gradients


def test_warmup_stable_decay() -> None:
    schedule = Schedule(kind="wsd", warmup=0.1, decay=0.4, final=0.1)
    values = [schedule.scale(step, 100) for step in range(100)]
    assert values[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert set(values[10:61]) == {1.0}
    assert values[80] == pytest.approx(1 - 0.9 * 20 / 40)
    assert values[99] == pytest.approx(0.1 + 0.9 * 1 / 40)


def test_cosine() -> None:
    schedule = Schedule(kind="cosine", warmup=0.0)
    values = [schedule.scale(step, 10) for step in range(10)]
    assert values == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 10)) for i in range(10)])


def test_constant() -> None:
    schedule = Schedule(kind="constant", warmup=0.5)
    assert [schedule.scale(step, 4) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]


def test_linear() -> None:
    schedule = Schedule(kind="linear", warmup=0.2, final=0.5)
    expected = [0.5, 1.0, *(1 - 0.5 * (i - 2) / 8 for i in range(2, 10))]
    assert [schedule.scale(step, 10) for step in range(10)] == pytest.approx(expected)


def test_inverse_root() -> None:
    """Vaswani et al. 2017, equation 3, whose peak is 1 at the end of the warm-up."""
    schedule = Schedule(kind="sqrt", warmup=0.25)
    values = [schedule.scale(step, 16) for step in range(16)]
    paper = [min(s**-0.5, s * 4**-1.5) / 4**-0.5 for s in range(1, 17)]
    assert values == pytest.approx(paper)


@pytest.mark.parametrize("kind", ["wsd", "cosine", "linear", "sqrt", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_short_runs_always_learn_something(kind, steps: int) -> None:
    schedule = Schedule(kind=kind)
    assert all(0 < schedule.scale(step, steps) <= 1 for step in range(steps))


def test_shares_are_shares() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Schedule(warmup=1.5)


def test_clipping_equals_torch() -> None:
    ours = [torch.randn(3, 4, requires_grad=True), torch.randn(5, requires_grad=True)]
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    for a, b in zip(ours, theirs, strict=True):
        a.grad = torch.randn(a.shape)
        b.grad = a.grad.clone()
    norm = clip_gradients(ours, 0.5)
    assert norm == pytest.approx(float(torch.nn.utils.clip_grad_norm_(theirs, 0.5)))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_small_gradients_are_left_alone() -> None:
    weight = torch.zeros(2, requires_grad=True)
    weight.grad = torch.tensor([3.0, 4.0])
    assert clip_gradients([weight], 10.0) == pytest.approx(5.0)
    assert weight.grad.tolist() == [3.0, 4.0]
