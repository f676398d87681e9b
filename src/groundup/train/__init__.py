"""The training step, its record, and pretraining."""

from groundup.train.bits_per_byte import bits_per_byte
from groundup.train.guard import Guard
from groundup.train.journal import Journal
from groundup.train.pretrain import Pretrain, pretrain
from groundup.train.step import StepResult, Training, steps

__all__ = [
    "Guard",
    "Journal",
    "Pretrain",
    "StepResult",
    "Training",
    "bits_per_byte",
    "pretrain",
    "steps",
]
