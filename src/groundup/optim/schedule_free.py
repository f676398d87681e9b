"""Schedule-free AdamW (Defazio et al. 2024, "The road less scheduled", algorithm 1).

    y = (1 − β₁) z + β₁ x        the gradient is taken here
    z ← z − lr · g / √v          a plain step
    x ← (1 − c) x + c z          the average so far, which is measured and kept; c = lr² / Σ lr²

The average takes the place of a decay of the learning rate, so the end of the training need not be
known: use it with a constant schedule. The parameters hold y; x follows from y and z, so that z and
the second moment v are all that is kept.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.optim import many
from groundup.optim.elementwise import Arrays, Tensors, check_betas, chunks, in_core
from groundup.optim.optimizer import Parameters, copy_state, holding


@dataclass(frozen=True, kw_only=True)
class ScheduleFreeAdamW:
    """lr: step size, larger than AdamW's. betas: share of the average where the gradient is taken,
    and decay of the second moment. decay: decoupled weight decay, at y."""

    lr: float
    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    decay: float = 0.0

    def __post_init__(self) -> None:
        check_betas(self.betas)
        if not self.betas[0]:
            raise ValueError("the first of betas must be more than 0: it is the average's share")

    def build(self, parameters: Parameters) -> "ScheduleFreeAdamWState":
        return ScheduleFreeAdamWState(self, parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:  # noqa: ARG002
        return False


class ScheduleFreeAdamWState:
    """z and the second moment of a set of parameters; see `Optimizer`."""

    def __init__(self, config: ScheduleFreeAdamW, parameters: Parameters):
        self.config = config
        self.parameters = dict(parameters)
        self.count = torch.zeros((), dtype=torch.int64)
        self.weights = torch.zeros((), dtype=torch.float64)  # Σ lr² in units of lr²
        self.second = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.z = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def step(self, scale: float) -> None:
        self.count += 1
        self.weights += scale**2
        share = scale**2 / float(self.weights) if scale else 0.0
        lr = self.config.lr * scale
        dense: list[Arrays] = []
        together: list[list[Tensor]] = []
        for name, y in self.parameters.items():
            if y.grad is None:
                continue
            tensors = [y, y.grad, self.z[name], self.second[name]]
            if in_core(tensors):
                dense.append([tensor.detach().numpy() for tensor in tensors])
                continue
            if y.device.type != "cpu":
                together.append(tensors)
                continue
            for arrays in chunks(*tensors):
                self._update(*([array] for array in arrays), lr=lr, share=share)
        if together:
            self._update(*zip(*together, strict=True), lr=lr, share=share)
        if dense:
            self._fused(dense, lr=lr, share=share)

    def _update(
        self, y: Tensors, grads: Tensors, z: Tensors, v: Tensors, *, lr: float, share: float
    ) -> None:
        beta1, beta2 = self.config.betas
        many.mul_(v, beta2)
        many.addcmul_(v, grads, grads, value=1 - beta2)
        sizes = many.sqrt(v)
        many.mul_(sizes, (1 - beta2 ** int(self.count)) ** -0.5)
        many.add_(sizes, self.config.eps)
        steps = many.div(grads, sizes)
        if self.config.decay:
            many.add_(steps, y, alpha=self.config.decay)
        x = many.lerp(y, z, 1 - 1 / beta1)  # y = z + β₁ (x − z)
        many.sub_(z, steps, alpha=lr)
        many.lerp_(x, z, share)
        many.copy_(y, many.lerp(z, x, beta1))

    def _fused(self, parameters: list[Arrays], *, lr: float, share: float) -> None:
        assert core is not None
        config, (beta1, beta2) = self.config, self.config.betas
        root, back = (1 - beta2 ** int(self.count)) ** -0.5, 1 - 1 / beta1
        threads = torch.get_num_threads()
        core.schedule_free(
            parameters, threads, config.decay, beta1, beta2, lr, root, config.eps, back, share
        )

    @torch.no_grad()
    def averaged(self) -> AbstractContextManager[None]:
        """The parameters hold x meanwhile."""
        back = 1 - 1 / self.config.betas[0]
        averages = {name: y.lerp(self.z[name], back) for name, y in self.parameters.items()}
        return holding(self.parameters, averages)

    def tensors(self) -> dict[str, Tensor]:
        return {
            "count": self.count,
            "weights": self.weights,
            **{f"second.{name}": v for name, v in self.second.items()},
            **{f"z.{name}": z for name, z in self.z.items()},
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)
