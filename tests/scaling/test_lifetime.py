"""The best model where serving costs, against a search by scipy."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from groundup.core.errors import InputError
from groundup.scaling.chinchilla import Law
from groundup.scaling.lifetime import best_within, cheapest

LAW = Law(E=1.69, A=406.4, B=410.7, alpha=0.336, beta=0.283)


def test_without_serving_it_is_chinchillas() -> None:
    N, D = LAW.best(1e21)
    choice = best_within(LAW, 1e21)
    assert choice.parameters == pytest.approx(N, rel=1e-4)
    assert choice.tokens == pytest.approx(D, rel=1e-4)
    back = cheapest(LAW, choice.loss)
    assert back.parameters == pytest.approx(N, rel=1e-3)
    assert back.flops == pytest.approx(1e21, rel=1e-6)


@pytest.mark.parametrize("served", [1e9, 1e12, 1e14])
def test_the_cheapest_is_that_of_a_search(served: float) -> None:
    loss = 2.1

    def cost(log_parameters: float) -> float:
        N = math.exp(log_parameters)
        return math.log(6 * N * float(LAW.tokens_for(loss, N)) + 2 * N * served)

    least = (LAW.A / (loss - LAW.E)) ** (1 / LAW.alpha)
    found = minimize_scalar(
        cost,
        bounds=(math.log(least * 1.001), math.log(least * 1e3)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    choice = cheapest(LAW, loss, served)
    assert choice.parameters == pytest.approx(math.exp(found.x), rel=1e-3)
    assert math.log(choice.flops) == pytest.approx(found.fun, abs=1e-6)


def test_the_more_is_served_the_smaller_the_model_and_the_longer_its_training() -> None:
    choices = [cheapest(LAW, 2.1, served) for served in (0, 1e11, 1e12, 1e13)]
    assert np.all(np.diff([choice.parameters for choice in choices]) < 0)
    assert np.all(np.diff([choice.tokens for choice in choices]) > 0)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        cheapest(LAW, 1.5)
    with pytest.raises(InputError, match="cannot be served"):
        best_within(LAW, 1e9, served_tokens=1e12)
