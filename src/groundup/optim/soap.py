"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, algorithm 3).

    L ← average of G Gᵀ        R ← average of Gᵀ G        Q_L, Q_R: their eigenvectors
    W ← W − lr · Q_L Adam(Q_Lᵀ G Q_R) Q_Rᵀ

Turned by any orthogonal matrices, a problem has a path that is turned alike, which Adam's has not.
The eigenvectors are found anew every few steps by one round of a power iteration and a QR
decomposition (algorithm 4).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.optim.elementwise import check_betas
from groundup.optim.optimizer import Parameters, copy_state

_KEPT = ("first", "second", "left", "right", "left_basis", "right_basis")


@dataclass(frozen=True, kw_only=True)
class SOAP:
    """lr: step size, as for AdamW. betas: of the first and second moment; the second is that of the
    preconditioners too. decay: decoupled. frequency: steps between two searches for the basis."""

    lr: float
    betas: tuple[float, ...] = (0.95, 0.95)
    eps: float = 1e-8
    decay: float = 0.0
    frequency: int = 10

    def __post_init__(self) -> None:
        check_betas(self.betas)
        if self.frequency < 1:
            raise ValueError("frequency must be at least 1")

    def build(self, parameters: Parameters) -> "SOAPState":
        return SOAPState(self, parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:  # noqa: ARG002
        return parameter.ndim == 2  # and not a stack of matrices


class SOAPState:
    """Moments, preconditioners and their bases of a set of matrices, or of stacks of them."""

    def __init__(self, config: SOAP, parameters: Parameters):
        for name, parameter in parameters.items():
            if parameter.ndim not in (2, 3):
                raise ValueError(f"SOAP updates matrices, and {name} has {parameter.ndim} axes")
        self.config = config
        self.parameters = dict(parameters)
        self.count = torch.zeros((), dtype=torch.int64)
        self.kept = {name: _zeros(parameter) for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def step(self, scale: float) -> None:
        self.count += 1
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                # bases in a narrow format are not orthogonal enough
                with torch.autocast(parameter.device.type, enabled=False):
                    self._update(parameter, parameter.grad, self.kept[name], scale)

    def _update(self, weight: Tensor, G: Tensor, kept: Mapping[str, Tensor], scale: float) -> None:
        beta1, beta2 = self.config.betas
        lr, step = self.config.lr * scale, int(self.count)
        m, v, L, R, Q_L, Q_R = (kept[name] for name in _KEPT)
        outer, inner = G @ G.mT, G.mT @ G
        if step == 1:
            Q_L.copy_(torch.linalg.eigh(outer).eigenvectors)
            Q_R.copy_(torch.linalg.eigh(inner).eigenvectors)
        m.lerp_(G, 1 - beta1)
        v.lerp_((Q_L.mT @ G @ Q_R).square(), 1 - beta2)
        size = (v / (1 - beta2**step)).sqrt_().add_(self.config.eps)
        direction = (Q_L.mT @ m @ Q_R).div_(size)
        if self.config.decay:
            weight.mul_(1 - lr * self.config.decay)
        weight.add_(Q_L @ direction @ Q_R.mT, alpha=-lr / (1 - beta1**step))
        L.lerp_(outer, 1 - beta2)
        R.lerp_(inner, 1 - beta2)
        if step % self.config.frequency == 0:
            Q_L.copy_(torch.linalg.qr(L @ Q_L).Q)
            Q_R.copy_(torch.linalg.qr(R @ Q_R).Q)

    def averaged(self) -> AbstractContextManager[None]:
        return nullcontext()

    def tensors(self) -> dict[str, Tensor]:
        arrays = ((name, kept) for name, kept in self.kept.items())
        return {
            "count": self.count,
            **{f"{array}.{name}": t for name, kept in arrays for array, t in kept.items()},
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)


def _zeros(parameter: Tensor) -> dict[str, Tensor]:
    rows, columns = parameter.shape[-2:]
    squares = {"left": rows, "left_basis": rows, "right": columns, "right_basis": columns}
    stack = parameter.shape[:-2]
    return {
        name: parameter.detach().new_zeros((*stack, squares[name], squares[name]))
        if name in squares
        else torch.zeros_like(parameter)
        for name in _KEPT
    }
