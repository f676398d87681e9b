"""Which parameters go to which optimizer, and that the states of all are kept."""

import pytest
import torch

from groundup.optim import EMA, SOAP, Adam, AdamW, ByRole, Lion, Muon, ScheduleFreeAdamW


def test_the_division_into_roles() -> None:
    parameters = {
        "embedding.weight": torch.zeros(5, 4),
        "blocks.0.attention.query.weight": torch.zeros(4, 4),
        "blocks.0.attention_norm.weight": torch.zeros(4),
        "readout.head.weight": torch.zeros(5, 4),
    }
    state = ByRole(matrices=Muon(lr=0.1), embedding=AdamW(lr=0.2), rest=AdamW(lr=0.1)).build(
        parameters
    )
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    state.step(1.0)
    moved = {name: float(parameter.abs().mean()) for name, parameter in parameters.items()}
    size = 0.1 * 0.2 * 4**0.5 / 4  # of Muon's step where the update is a matrix of equal entries
    assert moved == pytest.approx(
        {
            "embedding.weight": 0.2,
            "blocks.0.attention.query.weight": size,
            "blocks.0.attention_norm.weight": 0.1,
            "readout.head.weight": 0.1,
        },
        rel=0.35,  # five rounds leave singular values between about 0.68 and 1.2
    )


@pytest.mark.parametrize(
    "matrices",
    [
        Muon(lr=0.1),
        SOAP(lr=0.1, frequency=2),
        Adam(lr=0.1),
        Lion(lr=0.1),
        ScheduleFreeAdamW(lr=0.1),
    ],
)
def test_a_saved_state_goes_on_to_the_same_bits(matrices: Muon | SOAP | Adam | Lion) -> None:
    config = ByRole(matrices=matrices, embedding=AdamW(lr=0.2), rest=Lion(lr=0.1))

    def run(interrupt: bool) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        names = {"embedding.weight": (5, 4), "blocks.0.w": (4, 6), "blocks.0.norm.weight": (4,)}
        parameters = {n: torch.randn(shape, generator=generator) for n, shape in names.items()}
        state = EMA(decay=0.5).around(config).build(parameters)
        for step in range(7):
            if interrupt and step == 3:
                saved = {name: tensor.clone() for name, tensor in state.tensors().items()}
                state = EMA(decay=0.5).around(config).build(parameters)
                state.load(saved)
            for parameter in parameters.values():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            state.step(1.0)
        with state.averaged():
            return [parameter.clone() for parameter in parameters.values()]

    for whole, resumed in zip(run(False), run(True), strict=True):
        assert torch.equal(whole, resumed)
