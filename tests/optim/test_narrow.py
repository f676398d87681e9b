"""Weights in bfloat16: with copies they follow float32 exactly, by chance on the average."""

import pytest
import torch
from torch import Tensor

from groundup.optim import EMA, AdamW, ByRole, Muon, Narrow, ScheduleFreeAdamW
from groundup.optim.narrow import round_stochastically
from groundup.optim.optimizer import OptimizerConfig

ROLES = ByRole(matrices=Muon(lr=0.02), embedding=AdamW(lr=0.01), rest=AdamW(lr=0.01))


def drawn() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"blocks.0.w": (8, 16), "embedding.weight": (32, 8), "norm": (8,)}
    return {
        name: torch.randn(shape, generator=generator).bfloat16() for name, shape in shapes.items()
    }


def give_gradients(parameters: dict[str, Tensor], step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in parameters.values():
        grad = torch.randn(parameter.shape, generator=generator).bfloat16()
        parameter.grad = grad.to(parameter.dtype)


@pytest.mark.parametrize("config", [ROLES, AdamW(lr=1e-4), ScheduleFreeAdamW(lr=1e-3)])
def test_with_copies_the_weights_are_those_of_float32_rounded(config: OptimizerConfig) -> None:
    narrow, wide = drawn(), {name: w.float() for name, w in drawn().items()}
    if not isinstance(config, ByRole):
        narrow, wide = ({"norm": each["norm"]} for each in (narrow, wide))
    state, reference = Narrow("nearest", config).build(narrow), config.build(wide)
    for step in range(20):
        give_gradients(narrow, step)
        give_gradients(wide, step)
        state.step(1.0)
        reference.step(1.0)
    for name, weight in narrow.items():
        assert torch.equal(weight, wide[name].bfloat16())
    with state.averaged(), reference.averaged():
        for name, weight in narrow.items():
            assert torch.equal(weight, wide[name].bfloat16())
    for name, weight in narrow.items():
        assert torch.equal(weight, wide[name].bfloat16())


def test_rounding_by_chance_is_exact_on_the_average() -> None:
    """Only neighbours come out, and their mean is the number; what is narrow already stays."""
    torch.manual_seed(0)
    numbers = torch.tensor([1.001, -1.001, 3.14159, 1e-30, 0.0, 1.0, -2.5])
    draws = torch.stack([round_stochastically(numbers).double() for _ in range(20_000)])
    for column, number in zip(draws.T, numbers.tolist(), strict=True):
        assert len(column.unique()) <= 2
        width = float(column.max() - column.min())
        assert abs(float(column.mean()) - number) <= 4 * width / 2 / 20_000**0.5
    infinite = torch.tensor([float("inf"), -float("inf")])
    assert torch.equal(round_stochastically(infinite).float(), infinite)


def test_small_updates_add_up_by_chance_and_are_lost_to_the_nearest() -> None:
    torch.manual_seed(0)
    weight = torch.ones(4096).bfloat16()
    state = Narrow("stochastic", AdamW(lr=1e-4)).build({"w": weight})
    for _ in range(100):
        weight.grad = torch.ones_like(weight)
        state.step(1.0)
    assert float(weight.float().mean()) == pytest.approx(1 - 100 * 1e-4, abs=1e-4)
    assert torch.equal(torch.ones(1).bfloat16() - 1e-4, torch.ones(1).bfloat16())


def test_without_copies_nothing_wide_is_left_after_a_step() -> None:
    weight = torch.ones(64).bfloat16()
    state = Narrow("stochastic", AdamW(lr=0.1)).build({"w": weight})
    weight.grad = torch.ones_like(weight)
    state.step(1.0)
    assert [wide.untyped_storage().nbytes() for wide in state.wide.values()] == [0]
    assert not any(name.startswith("wide") for name in state.tensors())


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_a_saved_state_goes_on_with_the_same_bits(rounding: str) -> None:
    config = EMA(decay=0.9).around(Narrow(rounding, ROLES))  # pyright: ignore[reportArgumentType]
    weights = drawn()
    state = config.build(weights)
    for step in range(3):
        give_gradients(weights, step)
        state.step(1.0)
    copies = {name: weight.clone() for name, weight in weights.items()}
    saved = {name: tensor.clone() for name, tensor in state.tensors().items()}
    resumed = config.build(copies)
    resumed.load(saved)
    for parameters, each in ((weights, state), (copies, resumed)):
        torch.manual_seed(5)
        give_gradients(parameters, 9)
        each.step(1.0)
    assert all(torch.equal(weights[name], copies[name]) for name in weights)
