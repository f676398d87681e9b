"""The compiled core's steps are those of the formulas in PyTorch's operations."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from groundup.core.native import core
from groundup.optim import Adam, AdamW, Lion, ScheduleFreeAdamW
from groundup.optim.elementwise import in_core
from groundup.optim.optimizer import OptimizerConfig

CONFIGS = [
    AdamW(lr=1e-3, decay=0.1),
    Adam(lr=1e-3, decay=0.01),
    Lion(lr=1e-3, decay=0.1),
    ScheduleFreeAdamW(lr=1e-3, decay=0.1),
]
SHAPES = {"one": (1,), "odd": (7, 13), "long": (3, 70_001)}  # more than a stretch, and not of 16

pytestmark = pytest.mark.skipif(core is None, reason="the compiled core is not installed")


def drawn(seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator).to(dtype) for name, shape in SHAPES.items()
    }


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_many_steps_are_those_of_the_formulas_in_float64(config: OptimizerConfig) -> None:
    """float64 is not for the core, so there the formulas themselves are at work."""
    weights, exact = drawn(0, torch.float32), drawn(0, torch.float64)
    assert in_core(list(weights.values()))
    assert not in_core(list(exact.values()))
    states = [config.build(weights), config.build(exact)]
    for step in range(1, 51):
        for parameters, state in zip((weights, exact), states, strict=True):
            for name, grad in drawn(step, torch.float32).items():
                parameters[name].grad = grad.to(parameters[name].dtype)
            state.step(min(1.0, step / 10))
    for name, weight in weights.items():
        close = torch.isclose(weight.double(), exact[name], rtol=1e-5, atol=2e-6)
        # Where Lion's direction is next to zero, its sign is a matter of rounding.
        assert float((~close).double().mean()) <= (1e-4 if isinstance(config, Lion) else 0.0)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_no_bit(threads: int) -> None:
    def stepped() -> dict[str, Tensor]:
        weights = drawn(0, torch.float32)
        state = AdamW(lr=0.1).build(weights)
        for name, grad in drawn(1, torch.float32).items():
            weights[name].grad = grad
        state.step(1.0)
        return weights

    before = torch.get_num_threads()
    expected = stepped()
    try:
        torch.set_num_threads(threads)
        got = stepped()
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(got[name], expected[name]) for name in SHAPES)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda arrays: [a.astype(np.float64) for a in arrays], "float32"),
        (lambda arrays: [a[::2] for a in arrays], "dense"),
        (lambda arrays: [*arrays[:3], arrays[3][:5]], "one length"),
        (lambda arrays: arrays[:3], "number of arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    spoil: Callable[[list[np.ndarray]], list[np.ndarray]], message: str
) -> None:
    assert core is not None
    arrays = [np.ones(10, dtype=np.float32) for _ in range(4)]
    spoiled = spoil(copy.deepcopy(arrays))
    with pytest.raises(ValueError, match=message):
        core.adam([spoiled], 1, 1.0, 0.0, 0.9, 0.9, 0.1, 1.0, 1e-8)
