"""Kaplan's law, repeated text and benchmarks: derivatives against differences, planted laws found
again, and points that say too little."""

from typing import Any

import numpy as np
import pytest

from groundup.core.errors import InputError
from groundup.scaling import benchmark_curve, kaplan, repetition
from groundup.scaling.benchmark_curve import BenchmarkCurve, fit_benchmark_curve
from groundup.scaling.chinchilla import Law
from groundup.scaling.kaplan import KaplanLaw, fit_kaplan
from groundup.scaling.points import Points
from groundup.scaling.repetition import Repetition, deserved_parameters, fit_repetition

LAW = Law(E=1.7, A=400.0, B=1000.0, alpha=0.34, beta=0.32)
DRAW = np.random.default_rng(0)
N, D = np.exp(DRAW.uniform(14, 21, 40)), np.exp(DRAW.uniform(17, 24, 40))


def points(loss: Any) -> Points:
    return Points(N, D, 6 * N * D, np.asarray(loss))


def forms() -> dict[str, tuple[Any, np.ndarray]]:
    return {
        "kaplan": (kaplan._Form(points(D)), np.array([12.0, 15.0, 0.8, 0.1])),
        "repetition": (repetition._Form(LAW, points(D), D / 5), np.log([15.0, 5.0])),
        "benchmark": (benchmark_curve._Form(np.linspace(1, 3, 40), 0.25, 1), np.array([1.0, 2.0])),
    }


@pytest.mark.parametrize("name", forms())
def test_derivatives_are_those_of_differences(name: str) -> None:
    form, at = forms()[name]
    values, gradients, known = form.values(at[None])
    step = 1e-5 * np.eye(len(at))
    above, below = (form.values(at + sign * step) for sign in (1, -1))
    assert gradients[0] == pytest.approx((above[0] - below[0]).T / 2e-5, abs=1e-6)
    by = DRAW.normal(size=(1, 40))
    second = np.einsum("spn,n->sp", (above[1] - below[1]).swapaxes(1, 2) / 2e-5, by[0])
    found = form.curvature(gradients, known, by)[0]
    assert found == pytest.approx(second, abs=1e-4) or not found.any()
    assert values.shape == (1, 40)


def test_kaplans_law_is_found_again() -> None:
    planted = KaplanLaw(
        weights=6.4e13, tokens=1.8e13, power_of_weights=0.076, power_of_tokens=0.103
    )
    found = fit_kaplan(points(planted.loss(N, D)))
    for name in ("weights", "tokens", "power_of_weights", "power_of_tokens"):
        assert getattr(found, name) == pytest.approx(getattr(planted, name), rel=1e-3)
    with pytest.raises(InputError, match="5 trainings are too few for Kaplan's law"):
        fit_kaplan(points(D).where(np.arange(5)))


def test_new_text_is_worth_itself_and_repeated_text_less() -> None:
    law = Repetition(law=LAW, tokens=15.0, weights=5.0)
    best = deserved_parameters(LAW, 1e10)
    assert LAW.best(6 * best * 1e10) == pytest.approx((best, 1e10))
    assert law.loss(best, 1e10, 1e10) == pytest.approx(LAW.loss(best, 1e10))
    once, twice, often = (law.loss(best, epochs * 1e10, 1e10) for epochs in (1, 2, 1000))
    assert LAW.loss(best, 2e10) < twice < once
    assert often == pytest.approx(LAW.loss(best, 16e10), rel=1e-6)  # U + U · R*


def test_constants_of_repetition_are_found_again() -> None:
    planted = Repetition(law=LAW, tokens=15.0, weights=5.0)
    unique = D / np.exp(DRAW.uniform(0, 4, 40))
    found = fit_repetition(LAW, points(planted.loss(N, D, unique)), unique)
    assert found.tokens == pytest.approx(15.0, rel=1e-3)
    assert found.weights == pytest.approx(5.0, rel=1e-3)
    with pytest.raises(InputError, match="0 trainings read text more than once"):
        fit_repetition(LAW, points(LAW.loss(N, D)), D)


def test_a_benchmarks_curve_is_found_again() -> None:
    planted = BenchmarkCurve(chance=0.25, best=1.0, steepness=4.0, middle=2.2)
    losses = np.linspace(1.6, 3.2, 12)
    noise = 0.005 * DRAW.normal(size=12)
    found = fit_benchmark_curve(losses, planted.score(losses) + noise, chance=0.25)
    assert found.steepness == pytest.approx(4.0, rel=0.1)
    assert found.middle == pytest.approx(2.2, rel=0.01)
    assert found.score(9.0) == pytest.approx(0.25)
    with pytest.raises(InputError, match="no score is above chance"):
        fit_benchmark_curve(losses, np.full(12, 0.25), chance=0.25)
    with pytest.raises(InputError, match="3 scores are too few"):
        fit_benchmark_curve(losses[:3], planted.score(losses[:3]), chance=0.25)
