"""The parametric law: on published points, on planted ones, and on points that say too little."""

import csv
from pathlib import Path

import numpy as np
import pytest

from groundup.core.errors import InputError
from groundup.scaling.chinchilla import Law, fit_law
from groundup.scaling.points import Points, points_of, read_points

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "scaling" / "svg_extracted_data.csv"
PLANTED = Law(E=1.7, A=400.0, B=1000.0, alpha=0.34, beta=0.32)


def planted(seed: int, count: int = 60, noise: float = 0.005) -> Points:
    draw = np.random.default_rng(seed)
    N, D = np.exp(draw.uniform(14, 21, count)), np.exp(draw.uniform(17, 24, count))
    loss = PLANTED.loss(N, D) * np.exp(noise * draw.normal(size=count))
    return Points(N, D, 6 * N * D, loss)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="../shared/data/scaling is not here")
def test_the_published_points_give_the_published_law() -> None:
    """Besiroglu et al. 2024 drop the five points of highest loss, and minimise the sum."""
    with open(PUBLISHED, encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 245
    columns = {"parameters": "Model Size", "flops": "Training FLOP"}
    points = read_points(PUBLISHED, columns)
    fit = fit_law(points.where(np.argsort(points.loss)[:-5]), resamples=4000)
    law = fit.law
    assert fit.objective == pytest.approx(1.018274e-3, rel=1e-5)
    assert pytest.approx(477.8, abs=0.1) == law.A
    assert pytest.approx(2143, abs=1) == law.B
    assert pytest.approx(1.8172, abs=1e-4) == law.E
    assert law.alpha == pytest.approx(0.3473, abs=1e-4)
    assert law.beta == pytest.approx(0.3672, abs=1e-4)
    intervals = {
        "A": (290, 740),
        "B": (1050, 5850),
        "E": (1.770, 1.872),
        "alpha": (0.318, 0.373),
        "beta": (0.332, 0.416),
    }
    for name, (low, high) in intervals.items():
        ours = fit.interval(lambda one, name=name: getattr(one, name))
        assert ours == pytest.approx((low, high), rel=0.05)
    parameters, tokens = law.best(5.76e23)
    assert parameters == pytest.approx(7.3e10, rel=0.02)
    assert tokens == pytest.approx(1.3e12, rel=0.02)
    assert fit.warnings == ()


def test_a_planted_law_is_found_exactly_where_nothing_is_noise() -> None:
    fit = fit_law(planted(0, noise=0.0), resamples=10)
    for name in ("E", "A", "B", "alpha", "beta"):
        assert getattr(fit.law, name) == pytest.approx(getattr(PLANTED, name), rel=1e-5)


@pytest.mark.slow
def test_intervals_hold_what_they_promise() -> None:
    """Of 95 % intervals, 90 to 98 % of 200 draws hold the law that was planted."""
    fits = [fit_law(planted(seed), resamples=300, seed=seed) for seed in range(200)]
    for name in ("E", "A", "B", "alpha", "beta"):
        truth = getattr(PLANTED, name)
        held = [
            low <= truth <= high
            for low, high in (fit.interval(lambda one, n=name: getattr(one, n)) for fit in fits)
        ]
        assert 0.90 <= np.mean(held) <= 0.98, name


def test_the_best_of_a_budget_is_no_worse_than_its_neighbours() -> None:
    N, D = PLANTED.best(1e20)
    assert pytest.approx(1e20) == 6 * N * D
    for factor in (0.9, 1.1):
        assert PLANTED.loss(N, D) < PLANTED.loss(N * factor, D / factor)


def test_tokens_for_a_loss_lead_back_to_it() -> None:
    loss = float(PLANTED.loss(1e8, 1e10))
    assert PLANTED.tokens_for(loss, 1e8) == pytest.approx(1e10)
    assert PLANTED.tokens_for(1.7, [1e8, 1e12]).tolist() == [np.inf, np.inf]


def test_points_that_say_too_little_are_refused_in_a_sentence() -> None:
    points = planted(0)
    with pytest.raises(InputError, match="5 trainings are too few"):
        fit_law(points.where(np.arange(5)))
    N = np.full(20, 1e8)
    with pytest.raises(InputError, match="fewer than 3 sizes"):
        fit_law(Points(N, points.tokens[:20], 6 * N * points.tokens[:20], points.loss[:20]))


def test_what_the_points_do_not_tell_is_said() -> None:
    """All of one budget: sizes and tokens change together."""
    N = np.exp(np.linspace(16, 20, 12))
    D = 1e19 / (6 * N)
    loss = PLANTED.loss(N, D) * np.exp(0.005 * np.random.default_rng(0).normal(size=12))
    fit = fit_law(Points(N, D, 6 * N * D, loss), resamples=200)
    assert any("one order of magnitude" in said for said in fit.warnings)
    assert len(fit.warnings) >= 2


def test_trainings_that_failed_are_flagged_with_the_reason() -> None:
    good = {"parameters": 1e6, "tokens": 1e8, "loss": 3.0}
    points = points_of(
        [
            good,
            {**good, "loss": float("nan")},
            {**good, "loss": "inf"},
            {**good, "loss": -1},
            {**good, "tokens": 0},
            {"parameters": 1e6, "loss": 3.0},
            {**good, "flagged": "ran on other data"},
            {"flops": 6e14, "tokens": 1e8, "loss": 3.0},
        ]
    )
    assert points.loss.tolist() == [3.0, 3.0]
    assert points.flops.tolist() == [6e14, 6e14]
    assert points.parameters == pytest.approx([1e6, 1e6])
    reasons = [reason for _, reason in points.flagged]
    assert [reason.split(":")[0] for reason in reasons] == [
        "has no finite loss",
        "has no finite loss",
        "has a loss that is not above 0",
        "has parameters, tokens or flops that are not above 0",
        "has not two of parameters, tokens and flops",
        "ran on other data",
    ]


@pytest.mark.parametrize(
    ("name", "contents", "sentence"),
    [
        ("a.csv", "N,D\n1,2\n", "no column of losses"),
        ("a.csv", "", "its columns: none"),
        ("a.jsonl", "{", "can be read"),
        ("none.csv", None, "can be read"),
    ],
)
def test_a_file_that_holds_no_points_is_refused(
    tmp_path: Path, name: str, contents: str | None, sentence: str
) -> None:
    path = tmp_path / name
    if contents is not None:
        path.write_text(contents)
    with pytest.raises(InputError, match=sentence):
        read_points(path)


def test_a_file_with_names_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("N,C,bits\n1e6,6e14,3\n2e6,oops,4\n")
    points = read_points(tmp_path / "a.csv", {"parameters": "N", "flops": "C", "loss": "bits"})
    assert points.tokens.tolist() == [1e8]
    assert len(points.flagged) == 1
