"""Checkpoints: a model, its optimizer and its place in the run, as a directory on disk."""

from groundup.checkpoint.checkpoint import (
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
    load_decoder,
    load_model,
    save_model,
    save_together,
    step_of,
)
from groundup.checkpoint.retention import Retention
from groundup.checkpoint.writer import CheckpointWriter

__all__ = [
    "CheckpointWriter",
    "Retention",
    "checkpoint_path",
    "latest_checkpoint",
    "load_checkpoint",
    "load_decoder",
    "load_model",
    "save_model",
    "save_together",
    "step_of",
]
