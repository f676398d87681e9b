"""Checkpoints come back to the same bits; damaged and foreign ones are refused."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from groundup.checkpoint import (
    CheckpointWriter,
    Retention,
    latest_checkpoint,
    load_checkpoint,
    load_decoder,
    load_model,
    save_model,
)
from groundup.core.errors import ArtifactError
from groundup.core.files import write_json
from groundup.layers import GLU, GatedDelta, GroupedQuery, Latent, Mamba2, MoE, NoPE
from groundup.models import Decoder, DecoderModel
from groundup.optim import AdamW, ByRole, Muon
from groundup.optim.by_role import ByRoleState

CONFIG = Decoder(
    vocab_size=19,
    context=8,
    width=16,
    depth=2,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=8),
    mlp=GLU(hidden=24),
)


def stepped(config: Decoder, seed: int) -> tuple[DecoderModel, ByRoleState]:
    """A model and an optimizer after one step."""
    model = config.build(seed)
    optimizer = ByRole(matrices=Muon(lr=0.1), embedding=AdamW(lr=0.2), rest=AdamW(lr=0.1)).build(
        dict(model.named_parameters())
    )
    model.losses(*torch.randint(19, (2, 1, 8))).mean().backward()
    optimizer.step(1.0)
    return model, optimizer


def save(folder: Path, model: DecoderModel, optimizer: ByRoleState, step: int, state: dict) -> None:
    writer = CheckpointWriter(folder, Retention())
    writer.begin(model, optimizer, step, state)
    writer.wait()
    writer.close()


@pytest.mark.parametrize("head", [{}, {"tied": True}, {"embedding_in_head": True}], ids=str)
def test_a_round_trip_is_bit_exact(tmp_path: Path, head: dict[str, bool]) -> None:
    config = dataclasses.replace(CONFIG, **head)
    model, optimizer = stepped(config, 0)
    save(tmp_path, model, optimizer, 7, {"seconds": 1.5})
    other, other_optimizer = stepped(config, 1)
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    assert load_checkpoint(newest, other, other_optimizer) == {"step": 7, "seconds": 1.5}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    for name, tensor in optimizer.tensors().items():
        assert torch.equal(tensor, other_optimizer.tensors()[name]), name


def test_only_the_newest_checkpoint_is_kept(tmp_path: Path) -> None:
    model, optimizer = stepped(CONFIG, 0)
    for step in (5, 10, 200):
        save(tmp_path, model, optimizer, step, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000200"]


def test_an_unfinished_checkpoint_is_not_looked_at(tmp_path: Path) -> None:
    model, optimizer = stepped(CONFIG, 0)
    save(tmp_path, model, optimizer, 5, {})
    whole_but_for_its_name = tmp_path / "step-00000009.partial"
    shutil.copytree(tmp_path / "step-00000005", whole_but_for_its_name)
    (tmp_path / "step-00000008").mkdir()  # no manifest
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    assert newest.name == "step-00000005"
    save(tmp_path, model, optimizer, 6, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000006"]
    assert latest_checkpoint(tmp_path / "none") is None


def test_a_model_to_use(tmp_path: Path) -> None:
    model, _ = stepped(CONFIG, 0)
    save_model(tmp_path / "model", model, {})
    loaded = load_model(tmp_path / "model")
    assert loaded.config == CONFIG
    tokens = torch.arange(8)[None]
    assert torch.equal(loaded(tokens), model(tokens))


def test_damage_is_named(tmp_path: Path) -> None:
    model, _ = stepped(CONFIG, 0)
    save_model(tmp_path / "model", model, {})
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"model\.safetensors does not match its checksum"):
        load_model(tmp_path / "model")


def test_a_newer_format_is_refused_whatever_it_holds(tmp_path: Path) -> None:
    model, optimizer = stepped(CONFIG, 0)
    save(tmp_path, model, optimizer, 1, {})
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    write_json(newest / "manifest.json", {"format": 2, "contents": []})
    with pytest.raises(ArtifactError, match="has format 2, this groundup reads 1: upgrade"):
        load_checkpoint(newest, model, optimizer)


def test_another_model_is_refused_by_tensor(tmp_path: Path) -> None:
    model, optimizer = stepped(CONFIG, 0)
    save(tmp_path, model, optimizer, 1, {})
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    deeper, deeper_optimizer = stepped(dataclasses.replace(CONFIG, depth=3), 0)
    with pytest.raises(ArtifactError, match="differ in the tensor"):
        load_checkpoint(newest, deeper, deeper_optimizer)
    wider, wider_optimizer = stepped(dataclasses.replace(CONFIG, mlp=GLU(hidden=32)), 0)
    with pytest.raises(ArtifactError, match="has the shape"):
        load_checkpoint(newest, wider, wider_optimizer)


KINDS = {
    "mamba": {"attention": Mamba2(heads=2, head_width=8, state=4), "mlp": None},
    "delta": {"attention": GatedDelta(key_heads=1, value_heads=2, key_width=4, value_width=8)},
    "latent": {"attention": Latent(heads=2, rank=6, key_width=4, rope_width=4, value_width=8)},
    "experts": {"mlp": (CONFIG.mlp, MoE(experts=4, active=2, hidden=8, bias=True))},
}


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_every_kind_are_saved_with_their_configs(tmp_path: Path, kind: str) -> None:
    position = CONFIG.position if kind in ("latent", "experts") else NoPE()
    config = dataclasses.replace(CONFIG, position=position, **KINDS[kind])
    model = config.build(0)
    save_model(tmp_path / "model", model, {})
    back = load_decoder(tmp_path / "model")
    assert back.config == config
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor)
