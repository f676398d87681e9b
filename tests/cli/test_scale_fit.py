"""`groundup scale fit`: on a file of points, and on files that hold none."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.shell import Shell

from groundup.scaling.chinchilla import Law

PLANTED = Law(E=1.7, A=400.0, B=1000.0, alpha=0.34, beta=0.32)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell("scale fit", monkeypatch, capsys)


@pytest.fixture
def points(tmp_path: Path) -> Path:
    lines = ["N,flops,loss"]
    draw = np.random.default_rng(0)
    for flops in (1e17, 1e18, 1e19, 1e20):
        for factor in np.exp(np.linspace(-1, 1, 6)):
            N = PLANTED.best(flops)[0] * factor
            loss = float(PLANTED.loss(N, flops / (6 * N))) * np.exp(0.001 * draw.normal())
            lines.append(f"{N},{flops},{loss}")
    lines.append("1e9,1e20,nan")
    path = tmp_path / "points.csv"
    path.write_text("\n".join(lines))
    return path


def test_the_law_and_what_it_plans(shell: Shell, points: Path, tmp_path: Path) -> None:
    columns = ("--column", "parameters=N", "--resamples", "200", "--budget", "1e21")
    code, output, errors = shell(points, *columns, "--json")
    assert code == 0, errors
    facts = json.loads(output)
    low, high = facts["law"]["alpha"]["interval"]
    assert low < PLANTED.alpha < high
    assert facts["trainings"] == 24
    assert facts["flagged"] == ["has no finite loss: it diverged, or did not end"]
    plan = facts["plans"][0]
    low, high = plan["parameters"]["interval"]
    assert low < PLANTED.best(1e21)[0] < high
    assert facts["extrapolation"]["worst"] < 0.02
    code, output, _ = shell(points, *columns, "--plot", tmp_path / "fit.svg")
    assert code == 0
    assert "of 24 trainings" in output
    assert "it predicts them, up to 10 times the compute" in output
    assert "left out: 1, as each has no finite loss" in output
    assert (tmp_path / "fit.svg").read_text().count("<svg") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "no column of losses"),
        (["--column", "weights=N"], "--column weights is none of parameters"),
        (["--column", "parameters=N", "--leave-out-worst", "20"], "4 trainings are too few"),
        (["--column", "parameters=N", "--budget", "1e3", "--served", "1e9"], "cannot be served"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    arguments: list[str], sentence: str, shell: Shell, points: Path
) -> None:
    if not arguments:
        points.write_text("N,flops\n1,2\n")
    code, output, errors = shell(points, *arguments, "--resamples", "20")
    assert (code, output) == (2, "")
    assert sentence in errors
    assert len(errors.splitlines()) == 1
