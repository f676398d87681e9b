"""Lion: the sign of a momentum (Chen et al. 2023, "Symbolic discovery of optimization algorithms",
algorithm 2). Every weight moves by the same amount, and one array is kept instead of two."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from groundup.core.native import core
from groundup.optim import many
from groundup.optim.elementwise import Arrays, ElementwiseState, Tensors, check_betas
from groundup.optim.optimizer import Parameters


@dataclass(frozen=True, kw_only=True)
class Lion:
    """lr: step size, 3 to 10 times smaller than AdamW's. betas: share of the momentum in the
    direction, and its decay. decay: decoupled weight decay, larger than AdamW's by as much."""

    lr: float
    betas: tuple[float, ...] = (0.9, 0.99)
    decay: float = 0.0

    kept: ClassVar[tuple[str, ...]] = ("momentum",)

    def __post_init__(self) -> None:
        check_betas(self.betas)

    def build(self, parameters: Parameters) -> ElementwiseState:
        return ElementwiseState(self, parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:  # noqa: ARG002
        return False

    def update(
        self,
        weights: Tensors,
        grads: Tensors,
        *kept: Tensors,
        scale: float,
        step: int,  # noqa: ARG002
    ) -> None:
        (momentum,) = kept
        beta1, beta2 = self.betas
        lr = self.lr * scale
        directions = many.lerp(momentum, grads, 1 - beta1)
        many.sign_(directions)
        many.lerp_(momentum, grads, 1 - beta2)
        if self.decay:
            many.mul_(weights, 1 - lr * self.decay)
        many.add_(weights, directions, alpha=-lr)

    def fused(self, parameters: list[Arrays], threads: int, *, scale: float, step: int) -> None:  # noqa: ARG002
        assert core is not None
        lr, (beta1, beta2) = self.lr * scale, self.betas
        core.lion(parameters, threads, 1 - lr * self.decay, beta1, beta2, lr)
