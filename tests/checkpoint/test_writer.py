"""Checkpoints are written in the background; a write that fails leaves the one before it."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from groundup.checkpoint import (
    CheckpointWriter,
    Retention,
    latest_checkpoint,
    load_checkpoint,
    save_model,
)
from groundup.core.errors import os_error_sentence
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, DecoderModel
from groundup.optim import AdamW, ByRole
from groundup.optim.by_role import ByRoleState

CONFIG = Decoder(
    vocab_size=19,
    context=8,
    width=16,
    depth=1,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=8),
    mlp=GLU(hidden=24),
)


def started(seed: int = 0) -> tuple[DecoderModel, ByRoleState]:
    model = CONFIG.build(seed)
    roles = ByRole(matrices=AdamW(lr=0.1), embedding=AdamW(lr=0.1), rest=AdamW(lr=0.1))
    return model, roles.build(dict(model.named_parameters()))


def learn(model: DecoderModel, optimizer: ByRoleState) -> None:
    model.losses(*torch.randint(19, (2, 1, 8))).mean().backward()
    optimizer.step(1.0)


def copied(model: DecoderModel, optimizer: ByRoleState) -> dict[str, Tensor]:
    tensors = {**model.state_dict(), **optimizer.tensors()}
    return {name: tensor.clone() for name, tensor in tensors.items()}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses longer ones, as it does when a disk is full: in the middle of a write."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_the_training_goes_on_while_a_checkpoint_of_before_is_written(tmp_path: Path) -> None:
    model, optimizer = started()
    learn(model, optimizer)
    before = copied(model, optimizer)
    writer = CheckpointWriter(tmp_path, Retention())
    disk = threading.Event()
    writer._thread.submit(disk.wait)  # nothing is written before this is set
    writer.begin(model, optimizer, 1, {})
    learn(model, optimizer)
    assert latest_checkpoint(tmp_path) is None
    disk.set()
    writer.wait()
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    again, other = started(1)
    assert load_checkpoint(newest, again, other) == {"step": 1}
    for name, tensor in copied(again, other).items():
        assert torch.equal(tensor, before[name]), name
    writer.close()


def test_closing_waits_for_what_was_begun(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path, Retention(last=2))
    for step in (1, 2, 3):
        writer.begin(*started(), step, {})
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_a_failed_write_is_one_sentence_and_the_checkpoint_before_it_stays(tmp_path: Path) -> None:
    model, optimizer = started()
    writer = CheckpointWriter(tmp_path, Retention())
    writer.begin(model, optimizer, 1, {})
    writer.wait()
    before = copied(model, optimizer)
    learn(model, optimizer)
    with files_of_at_most(4096):
        writer.begin(model, optimizer, 2, {})
        with pytest.raises(OSError, match="File too large") as raised:
            writer.wait()
    sentence = os_error_sentence(raised.value)
    assert sentence.startswith(f"{tmp_path / 'step-00000002.partial' / 'model.safetensors'}: ")
    assert sentence.count(".") == str(tmp_path).count(".") + 3  # two in the path, one at the end
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    again, other = started(1)
    load_checkpoint(tmp_path / "step-00000001", again, other)
    for name, tensor in copied(again, other).items():
        assert torch.equal(tensor, before[name]), name

    writer.check()  # the error was told once
    writer.begin(model, optimizer, 2, {})  # there is room again
    writer.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
    writer.close()


def test_a_model_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with files_of_at_most(4096), pytest.raises(OSError, match="File too large"):
        save_model(tmp_path / "model", started()[0], {})
    assert list(tmp_path.iterdir()) == []
