"""Optimizers of our own, learning-rate schedules and gradient clipping."""

from groundup.optim.adamw import AdamW
from groundup.optim.clip import clip_gradients
from groundup.optim.muon import Muon
from groundup.optim.muon_adamw import MuonAdamW
from groundup.optim.optimizer import Optimizer
from groundup.optim.schedule import Schedule

__all__ = ["AdamW", "Muon", "MuonAdamW", "Optimizer", "Schedule", "clip_gradients"]
