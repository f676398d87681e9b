"""The average of weights against its sum written out."""

import pytest
import torch

from groundup.optim import EMA, AdamW


def test_it_is_a_mean_first_and_then_exponential() -> None:
    weight = torch.zeros(3)
    state = EMA(decay=0.75).around(AdamW(lr=0.1)).build({"w": weight})
    generator = torch.Generator().manual_seed(0)
    seen = []
    for _ in range(12):
        weight.grad = torch.randn(3, generator=generator)
        state.step(1.0)
        seen.append(weight.clone())
    expected = torch.stack(seen[:4]).mean(0)  # t / (t + 1) reaches 3/4 at the fourth
    for later in seen[4:]:
        expected = 0.75 * expected + 0.25 * later
    trained = weight.clone()
    with state.averaged():
        torch.testing.assert_close(weight, expected)
    assert torch.equal(weight, trained)


def test_the_trained_weights_come_back_after_an_error() -> None:
    weight = torch.ones(2)
    state = EMA().around(AdamW(lr=0.1)).build({"w": weight})
    weight.grad = torch.ones(2)
    state.step(1.0)
    weight.mul_(2)
    before = weight.clone()
    with pytest.raises(KeyboardInterrupt), state.averaged():
        raise KeyboardInterrupt
    assert torch.equal(weight, before)
