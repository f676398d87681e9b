"""Refused steps: what a training becomes that skips or rolls back, and that it resumes to the same
bits; what is kept of them."""

import dataclasses
import io
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from torch import Tensor

from groundup.checkpoint import Retention
from groundup.core.device import Device
from groundup.core.errors import DivergedError
from groundup.core.metrics import read_metrics
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, DecoderModel
from groundup.optim import AdamW, ByRole, Muon, Schedule, clip_gradients
from groundup.train import Guard, Journal, Training, steps

MODEL = Decoder(
    vocab_size=19,
    context=8,
    width=16,
    depth=1,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=8),
    mlp=GLU(hidden=24),
)
OPTIMIZER = ByRole(matrices=Muon(lr=0.02), embedding=AdamW(lr=0.01), rest=AdamW(lr=0.01))
STEPS = 12
NAN = float("nan")
CutOff = Callable[[Callable[[], object], int], None]


class Batch(NamedTuple):
    """factor: what the loss is multiplied by."""

    tokens: Tensor
    targets: Tensor
    factor: Tensor


def batch(step: int, factors: dict[int, float]) -> Batch:
    generator = torch.Generator().manual_seed(step)
    tokens, targets = torch.randint(19, (2, 2, 8), generator=generator)
    return Batch(tokens, targets, torch.tensor(factors.get(step, 1.0)))


def loss_of(model: DecoderModel, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    return model.losses(batch.tokens, batch.targets).mean() * batch.factor, {}


def start(guard: Guard) -> Training[DecoderModel]:
    model = MODEL.build(0)
    return Training(
        model=model,
        optimizer=OPTIMIZER.build(dict(model.named_parameters())),
        schedule=Schedule(warmup=0.3),
        steps=STEPS,
        device=Device(torch.device("cpu"), torch.float32),
        guard=guard,
    )


def train(
    directory: Path,
    guard: Guard,
    factors: dict[int, float],
    retention: Retention = Retention(),  # noqa: B008
    *,
    save_seconds: float = 0.0,
    output: io.StringIO | None = None,
) -> Training[DecoderModel]:
    """The loop that every training has."""
    training = start(guard)
    console = Console(file=output or io.StringIO())
    with Journal(directory, training, save_seconds, retention, console) as journal:
        rest: Iterator[list[Batch]] = (
            [batch(step, factors)] for step in range(training.step + 1, STEPS + 1)
        )
        for result in steps(training, rest, loss_of):
            journal.record(result)
            journal.save(force=result.step == STEPS)
    return training


def by_hand(made: list[int]) -> Training[DecoderModel]:
    """The training that makes these steps and knows no others."""
    training = start(Guard())
    for step in made:
        loss_of(training.model, batch(step, {}))[0].backward()
        clip_gradients(training.model.parameters(), training.clip)
        training.optimizer.step(training.schedule.scale(step - 1, STEPS))
        training.model.zero_grad()
    return training


def assert_same(a: Training[DecoderModel], b: Training[DecoderModel]) -> None:
    for left, right in (
        (a.model.state_dict(), b.model.state_dict()),
        (a.optimizer.tensors(), b.optimizer.tensors()),
    ):
        assert left.keys() == right.keys()
        for name, tensor in left.items():
            assert torch.equal(tensor, right[name]), name


SPIKES = Guard(on_spike="skip", window=4, deviations=20.0)
ROLLBACK = dataclasses.replace(SPIKES, on_nonfinite="rollback", on_spike="rollback")


@pytest.mark.parametrize(
    ("guard", "factors", "made"),
    [
        (Guard(), {1: NAN}, range(2, 13)),
        (
            Guard(),
            {5: float("inf"), 6: NAN, 12: NAN},
            [1, 2, 3, 4, *range(7, 12)],
        ),
        (SPIKES, {6: 1e4, 9: NAN}, [1, 2, 3, 4, 5, 7, 8, 10, 11, 12]),
        (ROLLBACK, {8: NAN}, [1, 2, 3, 4, 5, 6, 9, 10, 11, 12]),
        (ROLLBACK, {7: 1e4, 9: 1e4}, [1, 2, 3, 4, 5, 6, 10, 11, 12]),
        (ROLLBACK, {3: NAN, 12: NAN}, [1, 2, 4, 5, 6, 7, 8, 9]),
    ],
    ids=["first", "several", "spike", "rolled back", "twice", "none to go back to"],
)
def test_a_refused_step_is_as_if_it_had_not_been(
    tmp_path: Path, guard: Guard, factors: dict[int, float], made: list[int]
) -> None:
    """The fixed checkpoints are at 3, 6 and 9; step 12's rollback goes to 9."""
    found = train(tmp_path, guard, factors, Retention(every=3))
    assert found.step == STEPS
    assert_same(found, by_hand(list(made)))


@pytest.mark.parametrize("save_seconds", [0.0, 1e9], ids=["often", "at fixed steps alone"])
@pytest.mark.parametrize("cut", [4, 8, 10])
@pytest.mark.parametrize("guard", [SPIKES, ROLLBACK], ids=["skip", "rollback"])
def test_a_cut_off_run_ends_with_the_same_bits(
    tmp_path: Path, guard: Guard, cut: int, save_seconds: float, cut_off: CutOff
) -> None:
    factors = {5: 1e4, 8: NAN, 11: 1e4}
    retention = Retention(every=3)
    whole = train(tmp_path / "whole", guard, factors, retention, save_seconds=1e9)

    def run() -> Training[DecoderModel]:
        return train(tmp_path / "cut", guard, factors, retention, save_seconds=save_seconds)

    cut_off(run, cut)
    assert_same(run(), whole)
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "cut")]
    for record in (*lines[0], *lines[1]):
        del record["seconds"]
    assert lines[0] == lines[1]
    assert [record["step"] for record in lines[0] if "incident" in record] == [5, 8, 11]
    kept = {path.name for path in (tmp_path / "cut" / "checkpoints").iterdir()}
    assert kept == {f"step-{step:08d}" for step in (3, 6, 9, 12)}


def test_the_batch_of_a_refused_step_is_kept_and_told(tmp_path: Path) -> None:
    output = io.StringIO()
    train(tmp_path, ROLLBACK, {8: 1e4}, Retention(every=3), output=output)
    path = tmp_path / "incidents" / "step-00000008.safetensors"
    assert [*path.parent.iterdir()] == [path]
    record = next(r for r in read_metrics(tmp_path / "metrics.jsonl") if r["step"] == 8)
    assert record["action"] == "rollback"
    with safe_open(path, "pt") as file:
        for name, tensor in batch(8, {8: 1e4})._asdict().items():
            assert torch.equal(file.get_tensor(f"0.{name}"), tensor)
        facts = file.metadata()
    assert {name: float(value) for name, value in facts.items()} == {
        name: record[name] for name in ("step", "loss", "gradient_norm")
    }
    (line,) = output.getvalue().splitlines()
    assert line.startswith("  step 8 was undone, with all since step 6: its loss of ")
    assert line.endswith(f"; the batch is in {path}.")


def test_a_training_that_is_to_stop_does_so_in_one_sentence_each_time(tmp_path: Path) -> None:
    guard = Guard(on_nonfinite="stop")
    for _ in range(2):
        with pytest.raises(DivergedError, match=r"diverged at step 7 \(its loss is nan\)") as error:
            train(tmp_path, guard, {7: NAN})
        assert str(tmp_path / "incidents" / "step-00000007.safetensors") in str(error.value)
        assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000006"]


def test_a_full_disk_ends_a_run_which_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files takes the place of the disk's end: the kernel cuts a write short
    in either case."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    record = Journal.record
    fifth = tmp_path / "checkpoints" / "step-00000005"

    def fill_up(journal: Journal, result, **more: object) -> None:
        record(journal, result, **more)
        if result.step == 6:
            for _ in range(1000):  # it is written in the background
                if fifth.exists():
                    break
                time.sleep(0.01)
            assert fifth.exists()
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "record", fill_up)
        try:
            with pytest.raises(OSError, match="File too large") as raised:
                train(tmp_path, Guard(), {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "step-00000006.partial" in raised.value.filename
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000005"]
    assert_same(train(tmp_path, Guard(), {}), by_hand([*range(1, 13)]))
