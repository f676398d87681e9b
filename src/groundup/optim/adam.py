"""Adam (Kingma and Ba 2015, algorithm 1), with its decay as it was: a part of the gradient."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from groundup.optim import many
from groundup.optim.adamw import adam_fused, adam_update
from groundup.optim.elementwise import Arrays, ElementwiseState, Tensors, check_betas
from groundup.optim.optimizer import Parameters


@dataclass(frozen=True, kw_only=True)
class Adam:
    """lr: step size. betas: decay of the first and second moment. decay: L2 penalty, which is added
    to the gradient and so scaled by the second moment; see `AdamW` for the alternative."""

    lr: float
    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    decay: float = 0.0

    kept: ClassVar[tuple[str, ...]] = ("first", "second")

    def __post_init__(self) -> None:
        check_betas(self.betas)

    def build(self, parameters: Parameters) -> ElementwiseState:
        return ElementwiseState(self, parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:  # noqa: ARG002
        return False

    def update(
        self, weights: Tensors, grads: Tensors, *kept: Tensors, scale: float, step: int
    ) -> None:
        m, v = kept
        if self.decay:
            grads = many.add(grads, weights, alpha=self.decay)
        adam_update(weights, grads, m, v, self.lr * scale, self.betas, self.eps, step)

    def fused(self, parameters: list[Arrays], threads: int, *, scale: float, step: int) -> None:
        lr = self.lr * scale
        adam_fused(parameters, threads, 1.0, self.decay, lr, self.betas, self.eps, step)
