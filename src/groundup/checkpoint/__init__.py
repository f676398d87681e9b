"""Checkpoints: a model, its optimizer and its place in the run, as a directory on disk."""

from groundup.checkpoint.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    load_decoder,
    load_model,
    save_checkpoint,
    save_model,
)

__all__ = [
    "latest_checkpoint",
    "load_checkpoint",
    "load_decoder",
    "load_model",
    "save_checkpoint",
    "save_model",
]
