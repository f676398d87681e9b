"""What cannot be cut is refused in one sentence that names the option, by every process alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from tests.parallel.test_parts import EXPERTS, WIDE

from groundup.cli import cli
from groundup.core.errors import InputError
from groundup.core.mesh import Axis, Mesh
from groundup.core.processes import Group
from groundup.layers import ALiBi, GatedDelta, GroupedQuery
from groundup.layers.recurrent import LSTM
from groundup.models import RecurrentLM
from groundup.parallel.context import check_context
from groundup.parallel.experts import check_experts
from groundup.parallel.parallelism import Parallelism
from groundup.parallel.part import part_of
from groundup.parallel.pipeline import blocks_of
from groundup.parallel.tensor import narrow

HEADS = GroupedQuery(heads=6, kv_heads=3, head_width=4)
SIX = replace(WIDE, attention=HEADS)
FOUR = Parallelism(tensor=2, pipeline=2)
SOFT = replace(WIDE, attention=GroupedQuery(heads=4, kv_heads=4, head_width=4, softcap=30.0))
LENT = replace(WIDE, attention=(HEADS, replace(HEADS, borrow=True), replace(HEADS, borrow=True)))
DELTA = replace(WIDE, attention=GatedDelta(key_heads=4, value_heads=4, key_width=4, value_width=4))
RECURRENT = RecurrentLM(vocab_size=9, context=8, width=8, depth=2, cell=LSTM())

REFUSALS: dict[str, tuple[Callable[[], Any], str]] = {
    "heads": (
        lambda: narrow(replace(WIDE, attention=HEADS), 4, 0),
        "tensor=4 does not divide heads=6",
    ),
    "kv heads": (lambda: narrow(SIX, 2, 0), "does not divide kv_heads=3"),
    "hidden": (lambda: narrow(WIDE, 3, 0), "tensor=3 does not divide"),
    "mixer": (lambda: narrow(DELTA, 2, 0), "not GatedDelta: leave tensor at 1"),
    "blocks": (
        lambda: blocks_of(WIDE, 5, 0),
        "pipeline=5 is more than the 4 parts",
    ),
    "borrowed": (lambda: blocks_of(LENT, 3, 0), "pipeline=3 is more than the 2 parts"),
    "no experts": (lambda: check_experts(WIDE, 2), "experts=2 needs a mixture of experts"),
    "experts": (lambda: check_experts(EXPERTS, 3), "does not divide the model's 4 experts"),
    "softcap": (lambda: check_context(SOFT, 2), "no softcap or sinks: leave context at 1"),
    "slopes": (lambda: check_context(replace(WIDE, position=ALiBi()), 2), "has no ALiBi"),
    "delta": (lambda: check_context(DELTA, 2), "has no GatedDelta"),
    "processes": (
        lambda: Parallelism(tensor=2, pipeline=2).readers(6),
        "a multiple of 4 processes",
    ),
    "recurrent": (
        lambda: part_of(RECURRENT.build(0), pair(), CPU),
        "a RecurrentLM cannot be divided",
    ),
}


CPU = torch.device("cpu")


def pair() -> Mesh:
    """Of two processes that are not there."""

    class Absent(Mesh):
        def _make(self, axes: tuple[Axis, ...], *, ends: bool = False) -> None:
            pass

    return Absent(Group(0, 2), {"tensor": 2})


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    ask, said = REFUSALS[name]
    with pytest.raises(InputError) as error:
        ask()
    sentence = str(error.value)
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shard": "weight"}, "shard 'weight' is not one of nothing, optimizer, gradients"),
        ({"schedule": "zigzag"}, "schedule 'zigzag' is not one of"),
        ({"averaging": "none"}, "averaging 'none' is not one of"),
        ({"tensor": 0}, "must be at least 1"),
        ({"bucket_megabytes": 0.0}, "must be more than 0"),
    ],
)
def test_words_that_mean_nothing_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Parallelism(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tensor", "2"], "tensor=2 needs a multiple of 2 processes, and there are 1"),
        (["--tensor", "0"], "must be at least 1"),
        (["--pipeline", "2", "--shard", "weights"], "choose shard=optimizer, or pipeline=1"),
    ],
)
def test_the_command_refuses(
    documents: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    arguments = ["train", "ablation", f"--data={documents}", f"--runs={tmp_path}", *options]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, InputError)  # which `main` prints, and nothing else
    assert said in str(result.exception)
    assert not (tmp_path / "train" / "corpus").exists()
