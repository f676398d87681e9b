"""Configs: JSON round trips, typed overrides, and errors that name the nearest right key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.config import apply_overrides, from_dict, load_config, save_config, to_dict
from groundup.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Linear:
    slope: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine:
    periods: int = 1


@dataclass(frozen=True, kw_only=True)
class Optim:
    lr: float = 1e-3
    betas: tuple[float, ...] = (0.9, 0.95)
    schedule: Linear | Cosine = Linear()
    phases: tuple[Linear | Cosine, ...] = (Linear(), Cosine())

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError("lr must be positive")


@dataclass(frozen=True, kw_only=True)
class Run:
    name: str
    steps: int = 10
    compile: bool = False
    device: Literal["cpu", "cuda"] = "cpu"
    note: str | None = None
    optim: Optim = Optim()


@given(
    st.builds(
        Run,
        name=st.text(),
        steps=st.integers(),
        note=st.none() | st.text(),
        optim=st.builds(
            Optim,
            lr=st.floats(1e-9, 1e9),
            betas=st.lists(st.floats(0, 1), max_size=3).map(tuple),
            schedule=st.builds(Linear, slope=st.floats(-1, 1)) | st.builds(Cosine),
        ),
    )
)
def test_json_round_trip_is_the_identity(config: Run) -> None:
    assert from_dict(Run, to_dict(config)) == config


def test_save_and_load(tmp_path: Path) -> None:
    config = Run(name="a", optim=Optim(schedule=Cosine(periods=3)))
    save_config(tmp_path / "config.json", config)
    assert load_config(Run, tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optim.lr=3e-4", Run(name="a", optim=Optim(lr=3e-4))),
        ("optim.lr=1", Run(name="a", optim=Optim(lr=1.0))),
        ("steps=1e3", Run(name="a", steps=1000)),
        ("compile=true", Run(name="a", compile=True)),
        ("name=12", Run(name="12")),
        ("name=2e13", Run(name="2e13")),
        ("note=none", Run(name="a", note=None)),
        ("note=some words", Run(name="a", note="some words")),
        ("device=cuda", Run(name="a", device="cuda")),
        ("optim.betas=[0.5, 0.6]", Run(name="a", optim=Optim(betas=(0.5, 0.6)))),
        (
            'optim.schedule={"type": "Cosine", "periods": 2}',
            Run(name="a", optim=Optim(schedule=Cosine(periods=2))),
        ),
        ("optim.schedule=cosine", Run(name="a", optim=Optim(schedule=Cosine()))),
        (
            "optim.phases.1.periods=7",
            Run(name="a", optim=Optim(phases=(Linear(), Cosine(periods=7)))),
        ),
    ],
)
def test_overrides_are_typed(override: str, expected: Run) -> None:
    assert apply_overrides(Run(name="a"), [override]) == expected


def test_the_last_override_wins() -> None:
    assert apply_overrides(Run(name="a"), ["steps=1", "steps=2"]).steps == 2
    assert apply_overrides(Run(name="a"), ["optim.lr=2", "optim.schedule.slope=3"]).optim.lr == 2
    replaced = apply_overrides(Run(name="a"), ["optim.phases.1.periods=7", "optim.phases=[]"])
    assert replaced.optim.phases == ()


@dataclass(frozen=True, kw_only=True)
class Fitting:
    heads: int = 3
    groups: int = 3

    def __post_init__(self) -> None:
        if self.heads % self.groups:
            raise ValueError("groups must divide heads")


def test_what_must_fit_each_other_is_changed_together() -> None:
    changed = apply_overrides(Fitting(), ["heads=4", "groups=4"])
    assert changed == Fitting(heads=4, groups=4)
    with pytest.raises(ConfigError, match="heads: groups must divide heads"):
        apply_overrides(Fitting(), ["heads=4"])
    with pytest.raises(ConfigError, match="groups: groups must divide heads"):
        apply_overrides(Fitting(), ["heads=4", "groups=3"])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optim.lrr=1", "no setting 'optim.lrr'; did you mean 'optim.lr'"),
        ("lr=1", "did you mean 'optim.lr'"),
        ("step=1", "did you mean 'steps'"),
        ("steps.x=1", "no setting 'steps.x'"),
        ("steps", "write key=value"),
        ("steps=1.5", "steps is 1.5: it must be of type int"),
        ("steps=true", "must be of type int"),
        ("compile=1", "must be of type bool"),
        ("device=tpu", "choose one of cpu, cuda"),
        ("optim.betas=3", "must be a list"),
        ("optim.lr=-1", "lr must be positive"),
        ('optim.schedule={"type": "Step"}', "choose one of Linear, Cosine"),
        ("optim.schedule=step", "must be one of Linear, Cosine"),
        ("optim.phases.2.periods=7", "no setting 'optim.phases.2.periods'"),
        ("optim.phases.1.period=7", "did you mean 'optim.phases.1.periods'"),
    ],
)
def test_a_wrong_override_is_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace(".", r"\.")):
        apply_overrides(Run(name="a"), [override])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "lacks the setting 'name'"),
        ({"name": "a", "stepz": 1}, "did you mean 'steps'"),
        ({"name": "a", "optim": {"lr": "x"}}, "optim.lr is 'x'"),
        ({"name": "a", "type": "Other"}, "not Run"),
        ([], "must be an object"),
    ],
)
def test_a_wrong_file_is_one_sentence(data: object, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        from_dict(Run, data)
