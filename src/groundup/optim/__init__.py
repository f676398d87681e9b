"""Optimizers of our own, learning-rate schedules, averages of weights and gradient clipping."""

from groundup.optim.adam import Adam
from groundup.optim.adamw import AdamW
from groundup.optim.by_role import ByRole
from groundup.optim.clip import clip_gradients
from groundup.optim.ema import EMA
from groundup.optim.lion import Lion
from groundup.optim.muon import Muon
from groundup.optim.narrow import Narrow
from groundup.optim.optimizer import Optimizer
from groundup.optim.schedule import Schedule
from groundup.optim.schedule_free import ScheduleFreeAdamW
from groundup.optim.soap import SOAP

__all__ = [
    "EMA",
    "SOAP",
    "Adam",
    "AdamW",
    "ByRole",
    "Lion",
    "Muon",
    "Narrow",
    "Optimizer",
    "Schedule",
    "ScheduleFreeAdamW",
    "clip_gradients",
]
