"""Fits against scipy's, and the derivatives of forms against differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import huber as scipy_huber
from scipy.special import logsumexp

from groundup.scaling.huber import huber, minimise
from groundup.scaling.power_laws import LogSumExp, fit_power_law


def form_of(seed: int, points: int = 40) -> LogSumExp:
    """Three terms of five parameters, as Chinchilla's."""
    draw = np.random.default_rng(seed)
    terms = np.zeros((points, 3, 5))
    terms[:, 0, 0] = terms[:, 1, 1] = terms[:, 2, 2] = 1
    terms[:, 0, 3] = -draw.uniform(10, 20, points)
    terms[:, 1, 4] = -draw.uniform(12, 25, points)
    return LogSumExp(terms)


AT = np.array([6.0, 7.0, 0.5, 0.35, 0.37])


@given(st.floats(-5, 5), st.floats(1e-3, 2))
def test_the_loss_is_scipys(residual: float, delta: float) -> None:
    assert huber(np.array(residual), delta) == pytest.approx(scipy_huber(delta, residual))


def test_derivatives_are_those_of_differences() -> None:
    form = form_of(0)
    values, gradients, known = form.values(AT[None])
    assert values[0] == pytest.approx(logsumexp(form.terms @ AT, axis=1))
    step = 1e-6 * np.eye(5)
    above, below = (form.values(AT + sign * step) for sign in (1, -1))
    assert gradients[0] == pytest.approx((above[0] - below[0]).T / 2e-6, abs=1e-8)
    by = np.random.default_rng(1).normal(size=(1, 40))
    second = np.einsum("spn,n->sp", (above[1] - below[1]).swapaxes(1, 2) / 2e-6, by[0])
    assert form.curvature(gradients, known, by)[0] == pytest.approx(second, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_minimum_is_scipys(seed: int) -> None:
    form, draw = form_of(seed), np.random.default_rng(seed)
    wanted = form.values(AT[None])[0][0] + 0.01 * draw.standard_t(2, 40)
    weights = draw.integers(0, 4, (1, 40)).astype(float)

    def objective(at: np.ndarray) -> float:
        return float((weights * huber(form.values(at[None])[0] - wanted, 1e-2)).sum())

    (found,), (least,) = minimise(form, wanted, AT[None], delta=1e-2, weights=weights)
    theirs = minimize(objective, found, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 0})
    assert least == pytest.approx(objective(found))
    assert least <= theirs.fun * (1 + 1e-9)
    theirs = minimize(objective, AT, method="L-BFGS-B", options={"maxiter": 10_000, "ftol": 1e-15})
    assert least <= theirs.fun * (1 + 1e-9)


def test_problems_do_not_depend_on_each_other() -> None:
    form = form_of(3)
    wanted = form.values(AT[None])[0][0] + 0.01 * np.random.default_rng(3).normal(size=40)
    starts = AT + np.random.default_rng(4).normal(size=(6, 5))
    _, together = minimise(form, wanted, starts, delta=1e-3)
    alone = [minimise(form, wanted, start[None], delta=1e-3)[1][0] for start in starts]
    assert alone == pytest.approx(together, rel=1e-6)


@given(st.floats(-2, 2), st.floats(-10, 10), st.integers(0, 100))
def test_a_power_law_is_found_again(power: float, log_factor: float, seed: int) -> None:
    x = np.exp(np.random.default_rng(seed).uniform(0, 20, 8))
    (law,) = fit_power_law(x, np.exp(log_factor) * x**power)
    assert law.power == pytest.approx(power, abs=1e-6)
    assert law(x) == pytest.approx(np.exp(log_factor) * x**power, rel=1e-6)
