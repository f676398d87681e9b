"""Save and load: safetensors for weights and optimizer state, JSON for the rest, the manifest last.

    step-00000200/
        config.json             the model's config
        model.safetensors       weights, float32
        optimizer.safetensors   optimizer state (absent from a model that is only to be used)
        state.json              step and anything else that the loop needs to go on
        manifest.json           checksums, written last

A checkpoint is written under a temporary name and renamed when it is whole; older ones are removed
only after that, so there is always one to go on from. No pickle is read or written.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from groundup.checkpoint.retention import Retention
from groundup.core.config import load_config, save_config
from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import PARTIAL, read_json, sync, write_json
from groundup.core.manifest import MANIFEST, read_manifest, verify, write_manifest
from groundup.core.tensors import write_tensors
from groundup.models import DecoderModel
from groundup.models.families import Architecture, Model, module_of
from groundup.optim import Optimizer

CHECKPOINT = "checkpoint"
_STEP = "step-"


@dataclass(frozen=True)
class Snapshot:
    """The state of a training after a step, in memory of its own: the training can go on.

    state: anything else that the loop needs to go on, as JSON.
    """

    step: int
    config: Architecture
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Any]


def take_snapshot(
    model: Model, optimizer: Optimizer, step: int, state: Mapping[str, Any]
) -> Snapshot:
    """Copy weights and optimizer state to memory of the host, which takes as many bytes again."""
    copies = _copied(own_tensors(model)), _copied(optimizer.tensors())
    return Snapshot(step, model.config, *copies, dict(state))


def save_model(directory: Path, model: Model, facts: Mapping[str, Any]) -> None:
    """Write a model to use, without optimizer state, as a finished artifact."""
    _save(directory, model.config, {"model": own_tensors(model)}, facts, facts)


def save_checkpoint(folder: Path, snapshot: Snapshot, retention: Retention) -> None:
    """Write `folder/step-N`, then remove those beside it that are not to be kept."""
    tensors = {"model": snapshot.weights, "optimizer": snapshot.optimizer}
    state = {"step": snapshot.step, **snapshot.state}
    facts = {"step": snapshot.step}
    _save(checkpoint_path(folder, snapshot.step), snapshot.config, tensors, state, facts)
    finished = [int(path.name.removeprefix(_STEP)) for path in _finished(folder)]
    kept = {checkpoint_path(folder, step) for step in retention.kept(finished)}
    for path in folder.glob(f"{_STEP}*"):  # what a killed run has left unfinished too
        if path not in kept:
            shutil.rmtree(path)


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"{_STEP}{step:08d}"


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest finished checkpoint in `folder`; None where there is none."""
    return max(_finished(folder), default=None)


def load_checkpoint(directory: Path, model: Model, optimizer: Optimizer) -> dict[str, Any]:
    """Fill a model and an optimizer that were built from the same configs; returns the state.

    Raises `ArtifactError` for a damaged checkpoint, or one of another model or optimizer.
    """
    verify(directory, read_manifest(directory, CHECKPOINT))
    _load_weights(directory, model)
    try:
        optimizer.load(_read_tensors(directory / "optimizer.safetensors"))
    except ValueError as error:
        raise ArtifactError(f"{directory} is of another optimizer: {error}.") from error
    return read_json(directory / "state.json")


def load_model(directory: Path) -> Model:
    """The model in `directory`, whatever it was saved for, ready to be used: without dropout."""
    verify(directory, read_manifest(directory, CHECKPOINT))
    config = load_config(cast(type[Architecture], Architecture), directory / "config.json")
    model = module_of(config)
    _load_weights(directory, model)
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


def _save(
    directory: Path,
    config: Architecture,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> None:
    partial = directory.with_name(directory.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        save_config(partial / "config.json", config)
        for name, group in tensors.items():
            write_tensors(partial / f"{name}.safetensors", group)
        write_json(partial / "state.json", dict(state))
        write_manifest(partial, kind=CHECKPOINT, inputs={}, facts=facts)
    except BaseException:
        shutil.rmtree(
            partial, ignore_errors=True
        )  # on a full disk, half a checkpoint is in the way
        raise
    if directory.exists():
        shutil.rmtree(directory)
    partial.rename(directory)
    sync(directory.parent)


def _finished(folder: Path) -> list[Path]:
    names = f"{_STEP}{'[0-9]' * 8}"  # without those that are being written
    return [path for path in folder.glob(names) if (path / MANIFEST).exists()]


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist: this model was not saved to go on.") from error
    except SafetensorError as error:
        raise ArtifactError(f"{path} is not a readable safetensors file ({error}).") from error


@torch.no_grad()
def _load_weights(directory: Path, model: Model) -> None:
    path = directory / "model.safetensors"
    saved = _read_tensors(path)
    parameters = own_tensors(model)
    if odd := sorted(saved.keys() ^ parameters.keys()):
        raise ArtifactError(f"{path} and the model's config differ in the tensor {odd[0]}.")
    for name, parameter in parameters.items():
        if saved[name].shape != parameter.shape:
            raise ArtifactError(
                f"{path}: {name} has the shape {tuple(saved[name].shape)}, "
                f"and the config says {tuple(parameter.shape)}."
            )
        parameter.copy_(saved[name])
