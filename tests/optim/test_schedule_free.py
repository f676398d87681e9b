"""Schedule-free AdamW against its paper's three sequences, kept apart."""

import pytest
import torch

from groundup.optim import ScheduleFreeAdamW


def test_measured_weights_are_the_average_of_the_paper() -> None:
    lr, beta1, beta2, eps, decay = 0.05, 0.8, 0.9, 1e-8, 0.1
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(4, generator=generator, dtype=torch.float64)
    x, z, v, weights = y.clone(), y.clone(), torch.zeros(4, dtype=torch.float64), 0.0
    config = ScheduleFreeAdamW(lr=lr, betas=(beta1, beta2), eps=eps, decay=decay)
    state = config.build({"w": y})
    for t in range(1, 40):
        scale = min(1.0, t / 10)  # a warm-up
        at = (1 - beta1) * z + beta1 * x
        torch.testing.assert_close(y, at)
        y.grad = 3 * at + torch.randn(4, generator=generator, dtype=torch.float64)
        v = beta2 * v + (1 - beta2) * y.grad**2
        z = z - lr * scale * (y.grad / ((v / (1 - beta2**t)).sqrt() + eps) + decay * at)
        weights += scale**2
        x = (1 - scale**2 / weights) * x + scale**2 / weights * z
        state.step(scale)
        before = y.clone()
        with state.averaged():
            torch.testing.assert_close(y, x)
        assert torch.equal(y, before)


def test_a_constant_rate_settles_where_plain_steps_circle() -> None:
    """On a noisy parabola the average is far nearer to the minimum than the sequence z."""
    generator = torch.Generator().manual_seed(0)
    y = torch.full((200,), 5.0)
    state = ScheduleFreeAdamW(lr=0.1, betas=(0.9, 0.99)).build({"w": y})
    for _ in range(2000):
        y.grad = y + torch.randn(200, generator=generator)
        state.step(1.0)
    with state.averaged():
        settled = float(y.square().mean())
    assert settled < 0.25 * float(state.z["w"].square().mean())


def test_the_average_needs_a_share() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        ScheduleFreeAdamW(lr=0.1, betas=(0.0, 0.9))
