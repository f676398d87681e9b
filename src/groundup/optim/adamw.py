"""AdamW: Adam with decoupled weight decay (Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter
2019, algorithm 2).

The update is eight element-wise operations on four arrays. Done one after the other over a large
array, each streams the whole array through memory; done on chunks that stay in the processor's
cache, memory is crossed once. That is all that "fused" means here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.optim.optimizer import copy_state

# Elements handled at a time: four float32 arrays of this length are 1 MiB, about half of one core's
# second-level cache on today's servers.
_CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """lr: step size. betas: decay of the first and second moment. decay: decoupled weight decay."""

    lr: float
    betas: tuple[float, ...] = (0.9, 0.95)
    eps: float = 1e-8
    decay: float = 0.0

    def __post_init__(self) -> None:
        if len(self.betas) != 2:
            raise ValueError("betas are two numbers")

    def build(self, parameters: Mapping[str, Tensor]) -> "AdamWState":
        return AdamWState(self, parameters)


class AdamWState:
    """The moments of a set of parameters; see `Optimizer`."""

    def __init__(self, config: AdamW, parameters: Mapping[str, Tensor]):
        self.config = config
        self.parameters = dict(parameters)
        self.count = torch.zeros((), dtype=torch.int64)
        self.first = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.second = {name: torch.zeros_like(p) for name, p in self.parameters.items()}

    @torch.no_grad()
    def step(self, scale: float) -> None:
        self.count += 1
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            arrays = (parameter, parameter.grad, self.first[name], self.second[name])
            chunks = [array.view(-1).split(_CHUNK) for array in arrays]
            for weight, grad, m, v in zip(*chunks, strict=True):
                self._update(weight, grad, m, v, scale)

    def _update(self, weight: Tensor, grad: Tensor, m: Tensor, v: Tensor, scale: float) -> None:
        """Algorithm 2, lines 6 to 12, with the bias corrections moved into two scalars."""
        beta1, beta2 = self.config.betas
        lr = self.config.lr * scale
        count = int(self.count)
        m.lerp_(grad, 1 - beta1)
        v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denominator = v.sqrt().mul_((1 - beta2**count) ** -0.5).add_(self.config.eps)
        if self.config.decay:
            weight.mul_(1 - lr * self.config.decay)
        weight.addcdiv_(m, denominator, value=-lr / (1 - beta1**count))

    def tensors(self) -> dict[str, Tensor]:
        return {
            "adamw.count": self.count,
            **{f"adamw.first.{name}": m for name, m in self.first.items()},
            **{f"adamw.second.{name}": v for name, v in self.second.items()},
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)
