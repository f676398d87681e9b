"""Save and load: safetensors for weights and optimizer state, JSON for the rest, the manifest last.

    step-00000200/
        config.json             the model's config
        model.safetensors       weights, float32; a file of each process that has a share of them
        optimizer.safetensors   optimizer state (absent from a model that is only to be used); of
                                several processes a file each (see `checkpoint.parts`)
        state.json              step and anything else that the loop needs to go on
        manifest.json           checksums, written last

A checkpoint is written under a temporary name and renamed when it is whole; older ones are removed
only after that, so there is always one to go on from. No pickle is read or written. Several
processes share a file system; the first one writes all but what the others alone hold, and waits
for that.
"""

import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from groundup.checkpoint.parts import part_file, read_parts
from groundup.checkpoint.retention import Retention
from groundup.core.config import load_config, save_config
from groundup.core.errors import ArtifactError, InputError, LostProcessError
from groundup.core.files import PARTIAL, read_json, sync, write_json
from groundup.core.manifest import MANIFEST, read_manifest, verify, write_manifest
from groundup.core.processes import PATIENCE, Group
from groundup.core.tensors import write_tensors
from groundup.models import DecoderModel
from groundup.models.families import Architecture, Model, module_of
from groundup.optim import Optimizer
from groundup.parallel.exchange import Exchange
from groundup.parallel.parallelism import ALONE

CHECKPOINT = "checkpoint"
_STEP = "step-"
_LOOK_AGAIN = 0.05  # seconds between two looks for what other processes write


@dataclass(frozen=True)
class Snapshot:
    """The state of a training after a step, in memory of its own: the training can go on.

    files: tensors that this process writes, by the files' names. state: anything else that the loop
    needs to go on, as JSON. first: whether this is the first process, which finishes the checkpoint
    when the `awaited` files of others are there.
    """

    step: int
    config: Architecture
    files: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]
    first: bool
    awaited: tuple[str, ...]


def take_snapshot(
    model: Model,
    optimizer: Optimizer,
    step: int,
    state: Mapping[str, Any],
    exchange: Exchange = ALONE,
) -> Snapshot:
    """Copy weights and optimizer state, as far as this process is to write them, to memory of the
    host, which takes as many bytes again."""
    rank, size = exchange.group.rank, exchange.group.size
    state_of = exchange.state if exchange.shares_state else optimizer.tensors
    kinds = {
        "model": (exchange.written(own_tensors(model)), size if exchange.shares_weights else 1),
        "optimizer": (state_of(), size if exchange.shares_state else 1),
    }
    return Snapshot(
        step,
        model.config,
        {
            part_file(kind, rank, writers): _copied(tensors)
            for kind, (tensors, writers) in kinds.items()
            if rank < writers
        },
        dict(state),
        rank == 0,
        tuple(
            part_file(k, r, writers) for k, (_, writers) in kinds.items() for r in range(1, writers)
        ),
    )


def save_model(directory: Path, model: Model, facts: Mapping[str, Any]) -> None:
    """Write a model to use, without optimizer state, as a finished artifact."""
    partial = _begin(directory)
    with _removed_on_error(partial):
        _write(partial, model.config, {part_file("model", 0, 1): own_tensors(model)}, facts)
        _finish(directory, facts)


def save_together(
    directory: Path,
    model: Model,
    facts: Mapping[str, Any],
    exchange: Exchange,
    dtype: torch.dtype,
) -> None:
    """The same, of a model of which each process has a part; all of them call this. No device needs
    room for all of it: the first process puts it together in the processor's memory.

    dtype: in which weights are kept between two steps.
    """
    group = exchange.group
    if not exchange.shares_weights:
        if group.rank == 0:
            save_model(directory, model, facts)
        group.barrier()
        return
    parts = directory.with_name(f"{directory.name}.parts")
    if group.rank == 0:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
    group.barrier()
    path = parts / part_file("model", group.rank, group.size)
    write_tensors(path, exchange.written(own_tensors(model)), durable=False)
    group.barrier()
    if group.rank == 0:
        whole = module_of(model.config)
        for parameter in whole.parameters():  # and no buffers
            parameter.data = parameter.data.to(dtype)
        own = own_tensors(whole)
        _load_weights(parts, own, own.keys())
        save_model(directory, whole, facts)
        shutil.rmtree(parts)
    group.barrier()


def begin_checkpoint(folder: Path, step: int, group: Group) -> None:
    """Make room for `folder/step-N`, without what a killed run has left of it, before any process
    writes to it."""
    if group.rank == 0:
        _begin(checkpoint_path(folder, step))
    group.barrier()


def save_checkpoint(
    folder: Path, snapshot: Snapshot, retention: Retention, given_up: threading.Event
) -> None:
    """Write this process's files of `folder/step-N`, which was begun. The first process then waits
    for the others' files, finishes it, and removes those beside it that are not to be kept.

    given_up: set where the others will not come any more.
    """
    directory = checkpoint_path(folder, snapshot.step)
    partial = _partial(directory)
    if not snapshot.first:
        for name, tensors in snapshot.files.items():  # the first one flushes and moves the folder
            write_tensors(partial / name, tensors, durable=False)
        return
    with _removed_on_error(partial):
        state = {"step": snapshot.step, **snapshot.state}
        _write(partial, snapshot.config, snapshot.files, state)
        for name in snapshot.awaited:
            _await(partial / name, given_up)
        _finish(directory, {"step": snapshot.step})
    finished = map(step_of, _finished(folder))
    kept = {checkpoint_path(folder, step) for step in retention.kept(finished)}
    for path in folder.glob(f"{_STEP}*"):  # what a killed run has left unfinished too
        if path not in kept:
            shutil.rmtree(path)


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"{_STEP}{step:08d}"


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(_STEP))


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest finished checkpoint in `folder`; None where there is none."""
    return max(_finished(folder), default=None)


def load_checkpoint(
    directory: Path, model: Model, optimizer: Optimizer, exchange: Exchange = ALONE
) -> dict[str, Any]:
    """Fill a model and an optimizer that were built from the same configs; returns the state.

    It does not matter how many processes saved it, nor how they shared it.

    Raises `ArtifactError` for a damaged checkpoint, or one of another model or optimizer.
    """
    verify(directory, read_manifest(directory, CHECKPOINT))
    own = own_tensors(model)
    _load_weights(directory, exchange.loaded(own), exchange.names or own.keys())
    try:
        optimizer.load(read_parts(directory, "optimizer", optimizer.tensors())[0])
    except ValueError as error:
        raise ArtifactError(f"{directory} is of another optimizer: {error}.") from error
    return read_json(directory / "state.json")


def load_model(directory: Path) -> Model:
    """The model in `directory`, whatever it was saved for, ready to be used: without dropout."""
    verify(directory, read_manifest(directory, CHECKPOINT))
    config = load_config(cast(type[Architecture], Architecture), directory / "config.json")
    model = module_of(config)
    own = own_tensors(model)
    _load_weights(directory, own, own.keys())
    return model.eval()


def load_decoder(directory: Path) -> DecoderModel:
    """The same, of a model that continues a text. Raises `InputError` for another one."""
    model = load_model(directory)
    if not isinstance(model, DecoderModel):
        kind = type(model.config).__name__
        raise InputError(f"{directory} holds a {kind}, which cannot continue a text.")
    return model


def own_tensors(model: Model) -> dict[str, Tensor]:
    """Parameters and buffers that are saved, by name; a tied matrix once."""
    saved = model.state_dict()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in saved}
    return {**dict(model.named_parameters()), **buffers}


def _partial(directory: Path) -> Path:
    return directory.with_name(directory.name + PARTIAL)


def _begin(directory: Path) -> Path:
    """An empty folder for what will become `directory`."""
    partial = _partial(directory)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _write(
    partial: Path,
    config: Architecture,
    files: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
) -> None:
    save_config(partial / "config.json", config)
    for name, tensors in files.items():
        write_tensors(partial / name, tensors)
    write_json(partial / "state.json", dict(state))


def _finish(directory: Path, facts: Mapping[str, Any]) -> None:
    partial = _partial(directory)
    write_manifest(partial, kind=CHECKPOINT, inputs={}, facts=facts)
    if directory.exists():
        shutil.rmtree(directory)
    partial.rename(directory)
    sync(directory.parent)


@contextmanager
def _removed_on_error(partial: Path) -> Iterator[None]:
    """A context for writing: on a full disk, half a checkpoint is in the way."""
    try:
        yield
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _await(path: Path, given_up: threading.Event) -> None:
    """Until another process has written `path`, which appears when it is whole."""
    end = time.monotonic() + PATIENCE.total_seconds()
    while not path.exists():
        if given_up.wait(_LOOK_AGAIN) or time.monotonic() > end:
            raise LostProcessError(
                f"{path} was not written by its process: see what that one said, and whether all "
                "share this file system."
            )


def _finished(folder: Path) -> list[Path]:
    names = f"{_STEP}{'[0-9]' * 8}"  # without those that are being written
    return [path for path in folder.glob(names) if (path / MANIFEST).exists()]


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


@torch.no_grad()
def _load_weights(directory: Path, held: Mapping[str, Tensor], expected: Set[str]) -> None:
    """held: what is to be filled, by key. expected: the names of the whole model."""
    found, names = read_parts(directory, "model", held)
    if odd := sorted(names ^ expected):
        raise ArtifactError(
            f"{directory}: the weights and the model's config differ in the tensor {odd[0]}."
        )
    for name, tensor in held.items():
        if name not in found or found[name].shape != tensor.shape:
            saved = tuple(found[name].shape) if name in found else "another one"
            raise ArtifactError(
                f"{directory}: the weights' {name} has the shape {saved}, "
                f"and the config says {tuple(tensor.shape)}."
            )
        tensor.copy_(found[name])
