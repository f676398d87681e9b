"""The profile of a training step: its figures against counts by hand and laws that they obey."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from groundup.cli import cli
from groundup.core.config import from_dict
from groundup.core.device import select_device
from groundup.core.errors import InputError
from groundup.layers import LSTM, GroupedQuery, MoE
from groundup.models import Decoder, RecurrentLM, training_flops
from groundup.optim import EMA, AdamW, ByRole, Muon
from groundup.recipes.experiment import Experiment
from groundup.train import Pretrain, steps
from groundup.train.pretrain import start_training
from groundup.train.profile_parts import bytes_by_kind, profile_parts

SMALL = ["compile=no", "dtype=float32", "model.context=32", "model.width=32", "model.depth=2"]
SMALL += ["model.attention.heads=2", "model.attention.kv_heads=1", "model.attention.head_width=16"]
SMALL += ["model.mlp.hidden=48", "tokenizer.vocab_size=300", "pretrain.batch=2"]
OPTIMIZER = ByRole(matrices=Muon(lr=0.02), embedding=AdamW(lr=0.09), rest=AdamW(lr=0.003))


def run(folder: Path, *arguments: str) -> Result:
    changes = [word for setting in SMALL for word in ("--set", setting)]
    command = ["profile", "ablation", *changes, "--runs", str(folder), "--json", *arguments]
    return CliRunner().invoke(cli, command)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    done = run(folder, "--steps", "3", "--set", "pretrain.accumulation=2")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((folder / "profile" / "profile.json").read_text())
    return folder / "profile"


@pytest.fixture(scope="module")
def profile(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "profile.json").read_text())


def test_phases_and_parts_sum_to_the_whole(profile: dict[str, Any]) -> None:
    step = profile["step"]
    assert set(step["phases"]) == {"data", "forward", "backward", "optimizer", "rest"}
    assert min(step["phases"].values()) > 0
    assert sum(step["phases"].values()) == pytest.approx(step["seconds"])
    assert sum(part["share"] for part in profile["parts"]) == pytest.approx(1)
    names = [part["part"] for part in profile["parts"]]
    assert names[0] == "embedding"
    assert {"RMSNorm", "GroupedQuery", "GLU", "readout"} < set(names)


def test_rates_are_work_over_time_and_never_beyond_the_peak(profile: dict[str, Any]) -> None:
    experiment = from_dict(Experiment, profile["recipe"])
    step, peak = profile["step"], profile["peaks"]["flops_per_second"]
    assert step["flops"] == 4 * training_flops(experiment.model, 32)  # 2 micro-batches of 2
    assert step["tokens_per_second"] * step["seconds"] == pytest.approx(4 * 32)
    assert step["share_of_peak"] == pytest.approx(step["flops"] / step["seconds"] / peak)
    micro_batch = sum(sum(part["flops"].values()) for part in profile["parts"])
    assert micro_batch == step["flops"] / 2
    assert max(profile["peaks"]["matrix_products"]) <= peak
    assert all(part["share_of_peak"] <= 1 for part in (step, *profile["parts"]))
    assert profile["peaks"]["bytes_per_second"] > 0


def test_memory_is_that_of_the_tensors(profile: dict[str, Any]) -> None:
    experiment = from_dict(Experiment, profile["recipe"])
    model = experiment.model.build(0)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    matrices = sum(
        p.numel() for name, p in model.named_parameters() if "blocks" in name and p.ndim == 2
    )
    predicted, measured = profile["memory"]["predicted"], profile["memory"]["measured"]
    assert predicted["weights"] == measured["weights"] == weights
    assert predicted["gradients"] == measured["gradients"] == weights
    # Muon keeps one number of each weight, AdamW two and its count of steps
    assert predicted["optimizer"] == measured["optimizer"]
    assert measured["optimizer"] == pytest.approx(2 * weights - 4 * matrices, rel=0.01)
    ids = 2 * 32 * 8  # a prediction has one array for tokens and targets
    assert measured["activations"] - predicted["activations"] in (0, ids)


def test_the_folder_holds_a_trace_with_the_phases_and_two_plots(folder: Path) -> None:
    trace = json.loads((folder / "trace.json").read_text())["traceEvents"]
    ranges = [event["name"] for event in trace if event.get("cat") == "user_annotation"]
    assert ranges.count("data") == 2  # the second finds the end
    assert ranges.count("forward") == ranges.count("backward") == 2
    assert ranges.count("optimizer") == 2
    assert any("MmBackward" in event["name"] for event in trace)
    for name in ("time", "roofline"):
        assert (folder / f"{name}.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "pretrain.batch=100000000"], "a step needs about .* GB of memory and .* free"),
        (["--set", "model.attention.kv_heads=3"], "model.attention.kv_heads"),
        (["--set", "tokenizer.vocab_size=2"], "a vocabulary of 2 is too small"),
        (["--steps", "0"], "0 is not in the range"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.exit_code
    assert re.search(sentence, done.output or str(done.exception))
    assert not list(tmp_path.rglob("*.json"))


def test_a_recipe_that_is_none_is_refused(tmp_path: Path) -> None:
    command = ["profile", "nothing", "--runs", str(tmp_path)]
    error = CliRunner().invoke(cli, command).exception
    assert isinstance(error, InputError)
    assert "there is no recipe 'nothing'" in str(error)
    assert not list(tmp_path.iterdir())


def test_a_step_says_in_which_phase_it_is() -> None:
    entered: list[str] = []

    class Phase:
        def __init__(self, name: str):
            self.name = name

        def __enter__(self) -> None:
            entered.append(self.name)

        def __exit__(self, *exception: object) -> None:
            entered.append(f"/{self.name}")

    model = RecurrentLM(vocab_size=9, context=4, width=8, depth=1)
    config = Pretrain(steps=1, batch=1, optimizer=OPTIMIZER, compile=False)
    training = start_training(config, model, select_device("cpu", "float32"))
    tokens = torch.zeros(1, 4, dtype=torch.int64)
    loss = lambda model, batch: (model.losses(batch, batch).mean(), {})  # noqa: E731
    list(steps(training, [[tokens, tokens]], loss, Phase))
    once = ["forward", "/forward", "backward", "/backward"]
    assert entered == [*once, *once, *["optimizer", "/optimizer"] * 2]


EXPERTS = Decoder(
    vocab_size=50,
    context=16,
    width=32,
    depth=2,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=16),
    mlp=MoE(experts=4, active=2, hidden=16),
    tied=True,
)
CELLS = RecurrentLM(vocab_size=50, context=16, width=24, depth=2, cell=LSTM())


@pytest.mark.parametrize(
    ("model", "parts"), [(EXPERTS, {"GroupedQuery", "MoE"}), (CELLS, {"LSTM"})], ids=["moe", "lstm"]
)
def test_models_of_every_kind_have_parts(model: Decoder | RecurrentLM, parts: set[str]) -> None:
    config = Pretrain(steps=1, batch=1, optimizer=OPTIMIZER, compile=False, ema=EMA())
    training = start_training(config, model, select_device("cpu", "float32"))
    tokens = torch.zeros(1, 16, dtype=torch.int64)

    def loss_of(network: Any, batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        return network.losses(batch, batch).mean(), {}

    loss = partial(loss_of, batch=tokens)
    rows = profile_parts(training, loss, {"readout": 10}, repeats=2)
    names = [row["part"] for row in rows]
    assert parts | {"embedding", "readout"} <= set(names)
    assert names[-1] == "between the parts"
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert [row["flops"] for row in rows if row["part"] == "readout"] == [
        {"forward": 10, "backward": 20}
    ]
    sizes = bytes_by_kind(training, loss)
    weights = 4 * training.model.parameter_count()
    state = training.optimizer.tensors().values()
    assert sizes["weights"] == sizes["gradients"] == weights
    assert sizes["optimizer"] == sum(t.numel() * t.element_size() for t in state)
