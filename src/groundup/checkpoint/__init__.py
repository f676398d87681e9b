"""Checkpoints: a model, its optimizer and its place in the run, as a directory on disk."""

from groundup.checkpoint.checkpoint import (
    Snapshot,
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
    load_decoder,
    load_model,
    save_checkpoint,
    save_model,
    take_snapshot,
)
from groundup.checkpoint.retention import Retention
from groundup.checkpoint.writer import CheckpointWriter

__all__ = [
    "CheckpointWriter",
    "Retention",
    "Snapshot",
    "checkpoint_path",
    "latest_checkpoint",
    "load_checkpoint",
    "load_decoder",
    "load_model",
    "save_checkpoint",
    "save_model",
    "take_snapshot",
]
