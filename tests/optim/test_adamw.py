"""Adam and AdamW against torch's own."""

import pytest
import torch

from groundup.optim import Adam, AdamW


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("size", [7, 70_000])  # within one chunk, and across two
@pytest.mark.parametrize("ours", [Adam, AdamW])
def test_a_thousand_steps_equal_torch(
    ours: type[Adam] | type[AdamW], size: int, decay: float
) -> None:
    theirs = {Adam: torch.optim.Adam, AdamW: torch.optim.AdamW}[ours]
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(size, generator=generator)
    expected = weight.clone().requires_grad_()
    state = ours(lr=1e-3, betas=(0.9, 0.95), decay=decay).build({"w": weight})
    peer = theirs([expected], lr=1e-3, betas=(0.9, 0.95), weight_decay=decay)
    for step in range(1000 if size < 100 else 100):
        weight.grad = torch.randn(size, generator=generator) * (1 + step % 7)
        expected.grad = weight.grad.clone()
        scale = 1.0 if step % 2 else 0.5
        state.step(scale)
        peer.param_groups[0]["lr"] = 1e-3 * scale
        peer.step()
    assert (weight - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_a_parameter_without_gradient_stays() -> None:
    weight = torch.ones(3, requires_grad=True)
    AdamW(lr=1.0, decay=0.5).build({"w": weight}).step(1.0)
    assert weight.tolist() == [1.0, 1.0, 1.0]


def test_a_saved_state_goes_on_to_the_same_bits() -> None:
    def run(interrupt: bool) -> torch.Tensor:
        torch.manual_seed(0)
        weight = torch.randn(5, requires_grad=True)
        state = AdamW(lr=1e-2).build({"w": weight})
        for step in range(6):
            if interrupt and step == 3:
                saved = {name: tensor.clone() for name, tensor in state.tensors().items()}
                state = AdamW(lr=1e-2).build({"w": weight})
                state.load(saved)
            weight.grad = torch.randn(5)
            state.step(1.0)
        return weight.detach()

    assert torch.equal(run(False), run(True))


def test_a_foreign_state_is_refused() -> None:
    state = AdamW(lr=1e-2).build({"w": torch.ones(3)})
    with pytest.raises(ValueError, match=r"lacks first\.w"):
        state.load({"count": torch.zeros((), dtype=torch.int64)})
