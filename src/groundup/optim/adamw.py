"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from groundup.core.native import core
from groundup.optim import many
from groundup.optim.elementwise import Arrays, ElementwiseState, Tensors, check_betas
from groundup.optim.optimizer import Parameters


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """lr: step size. betas: decay of the first and second moment. decay: decoupled weight decay."""

    lr: float
    betas: tuple[float, ...] = (0.9, 0.95)
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
        lr = self.lr * scale
        if self.decay:
            many.mul_(weights, 1 - lr * self.decay)
        adam_update(weights, grads, m, v, lr, self.betas, self.eps, step)

    def fused(self, parameters: list[Arrays], threads: int, *, scale: float, step: int) -> None:
        lr = self.lr * scale
        adam_fused(parameters, threads, 1 - lr * self.decay, 0.0, lr, self.betas, self.eps, step)


def adam_update(
    weights: Tensors,
    grads: Tensors,
    m: Tensors,
    v: Tensors,
    lr: float,
    betas: Sequence[float],
    eps: float,
    step: int,
) -> None:
    """Kingma and Ba, algorithm 1, in place, with the bias corrections moved into two scalars."""
    beta1, beta2 = betas
    many.lerp_(m, grads, 1 - beta1)
    many.mul_(v, beta2)
    many.addcmul_(v, grads, grads, value=1 - beta2)
    denominators = many.sqrt(v)
    many.mul_(denominators, (1 - beta2**step) ** -0.5)
    many.add_(denominators, eps)
    many.addcdiv_(weights, m, denominators, value=-lr / (1 - beta1**step))


def adam_fused(
    parameters: list[Arrays],
    threads: int,
    shrink: float,
    penalty: float,
    lr: float,
    betas: Sequence[float],
    eps: float,
    step: int,
) -> None:
    """The same in the compiled core. shrink: factor of the weights before the step. penalty: times
    the weights, added to the gradients."""
    assert core is not None
    beta1, beta2 = betas
    rate, root = lr / (1 - beta1**step), (1 - beta2**step) ** -0.5
    core.adam(parameters, threads, shrink, penalty, beta1, beta2, rate, root, eps)
