"""Weights in bfloat16, which has 8 significant bits: most updates are smaller than half of the last
one, and rounding to the nearest would lose them (Zamirai et al. 2020, "Revisiting BFloat16
training", section 3). Two ways out: float32 copies beside them, or rounding by chance.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from groundup.optim.optimizer import OptimizerConfig, Parameters, copy_state, holding


@dataclass(frozen=True)
class Narrow:
    """An optimizer of float32 copies of bfloat16 weights.

    rounding: "nearest" keeps the copies, which take every update ("master weights": Micikevicius et
    al. 2018, section 3.1). "stochastic": they are there during an update alone, when activations
    are not, and the result goes up or down by chance, so that on the average nothing is lost
    (Gupta et al. 2015, section 3).
    """

    rounding: Literal["nearest", "stochastic"]
    optimizer: OptimizerConfig

    def build(self, parameters: Parameters) -> "NarrowState":
        return NarrowState(self, parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:
        return self.optimizer.whole(name, parameter)


class NarrowState:
    """The copies and their optimizer; see `Optimizer`."""

    def __init__(self, config: Narrow, parameters: Parameters):
        self.rounding = config.rounding
        self.parameters = dict(parameters)
        self.wide = {name: p.detach().float() for name, p in self.parameters.items()}
        self.optimizer = config.optimizer.build(self.wide)
        if self.rounding == "stochastic":
            self._release()

    @torch.no_grad()
    def step(self, scale: float) -> None:
        with self._widened():
            for name, parameter in self.parameters.items():
                grad = parameter.grad
                self.wide[name].grad = None if grad is None else grad.float()
            self.optimizer.step(scale)
            for name, parameter in self.parameters.items():
                wide = self.wide[name]
                wide.grad = None
                stochastic = self.rounding == "stochastic"
                parameter.copy_(round_stochastically(wide) if stochastic else wide)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        with self._widened(), self.optimizer.averaged(), holding(self.parameters, self.wide):
            yield

    def tensors(self) -> dict[str, Tensor]:
        kept = self.wide if self.rounding == "nearest" else {}
        inner = {f"optimizer/{name}": tensor for name, tensor in self.optimizer.tensors().items()}
        return {**inner, **{f"wide.{name}": tensor for name, tensor in kept.items()}}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)

    @contextmanager
    def _widened(self) -> Iterator[None]:
        """A context in which the copies are there."""
        if self.rounding == "nearest":
            yield
            return
        for name, parameter in self.parameters.items():
            self.wide[name].data = parameter.detach().float()
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        for wide in self.wide.values():
            wide.data = wide.new_empty(0)


def round_stochastically(wide: Tensor) -> Tensor:
    """float32 → bfloat16 of the same shape: one of the two neighbours, each with the probability
    that makes the mean exact. A bfloat16 is the upper half of a float32, so adding a random lower
    half and cutting off does it."""
    bits = wide.view(torch.int32)
    chance = torch.randint_like(bits, 1 << 16)
    return ((bits + chance) & -(1 << 16)).view(torch.float32).bfloat16()
