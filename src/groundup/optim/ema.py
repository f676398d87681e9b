"""An exponential moving average of the weights beside any optimizer (Polyak and Juditsky 1992,
with the recent past weighing most): the mean of a noisy path is nearer to the middle of the valley.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.optim.optimizer import (
    Optimizer,
    OptimizerConfig,
    Parameters,
    copy_state,
    holding,
)


@dataclass(frozen=True, kw_only=True)
class EMA:
    """decay: of the average, in each step. It begins as a plain mean: at step t (from 0) the decay
    is at most t / (t + 1), so that the first weights do not linger."""

    decay: float = 0.999

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError("decay must be from 0 up to 1")

    def around(self, optimizer: OptimizerConfig) -> "Averaged":
        return Averaged(self, optimizer)


@dataclass(frozen=True)
class Averaged:
    """An optimizer, with the average of what it makes."""

    average: EMA
    optimizer: OptimizerConfig

    def build(self, parameters: Parameters) -> "EMAState":
        return EMAState(self.average, self.optimizer.build(parameters), parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:
        return self.optimizer.whole(name, parameter)


class EMAState:
    """An optimizer and the average of what it makes; see `Optimizer`."""

    def __init__(self, config: EMA, optimizer: Optimizer, parameters: Parameters):
        self.config = config
        self.optimizer = optimizer
        self.parameters = dict(parameters)
        self.count = torch.zeros((), dtype=torch.int64)
        self.average = {
            name: p.detach().to(torch.float32, copy=True) for name, p in self.parameters.items()
        }

    @torch.no_grad()
    def step(self, scale: float) -> None:
        self.optimizer.step(scale)
        step = int(self.count)
        self.count += 1
        decay = min(self.config.decay, step / (step + 1))
        for name, parameter in self.parameters.items():
            self.average[name].lerp_(parameter.float(), 1 - decay)

    def averaged(self) -> AbstractContextManager[None]:
        return holding(self.parameters, self.average)

    def tensors(self) -> dict[str, Tensor]:
        inner = {f"optimizer/{name}": t for name, t in self.optimizer.tensors().items()}
        averages = {f"average.{name}": t for name, t in self.average.items()}
        return {"count": self.count, **inner, **averages}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)
