"""Muon: momentum whose update is made orthogonal (Jordan et al. 2024, "Muon: an optimizer for
hidden layers in neural networks"), scaled as in Liu et al. 2025, "Muon is scalable for LLM
training", section 2.2, so that learning rate and decay can be those of AdamW.

Only for matrices: an update UΣVᵀ becomes about UVᵀ, by a polynomial iteration that needs nothing
but matrix products. Matrices of one shape are stacked and iterated together, which keeps the
hardware's matrix units busy where the matrices are small.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.optim import many
from groundup.optim.optimizer import Parameters, copy_state

# The quintic of Jordan et al.: a·x + b·x³ + c·x⁵ with a slope at zero as steep as convergence into
# about [0.7, 1.2] allows; five rounds lift singular values from 0.01 into that band.
_QUINTIC = (3.4445, -4.7750, 2.0315)
# How many times as long as the short side the long one is, from where on iterating xxᵀ is faster:
# in units of the short side cubed, five rounds are 10·ratio + 5 products, or 2·ratio + 17.
_WIDE = 1.5


@dataclass(frozen=True, kw_only=True)
class Muon:
    """lr: step size, as for AdamW. momentum: Nesterov's. decay: decoupled weight decay.

    rounds: Newton–Schulz iterations, at least one.
    """

    lr: float
    momentum: float = 0.95
    decay: float = 0.1
    rounds: int = 5

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds ({self.rounds}) must be at least 1")

    def build(self, parameters: Parameters) -> "MuonState":
        return MuonState(self, parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:  # noqa: ARG002
        return parameter.ndim == 2  # and not a stack of matrices


class MuonState:
    """The momentum of a set of matrices, and of stacks of them; see `Optimizer`."""

    def __init__(self, config: Muon, parameters: Parameters):
        for name, parameter in parameters.items():
            if parameter.ndim not in (2, 3):
                raise ValueError(f"Muon updates matrices, and {name} has {parameter.ndim} axes")
        self.config = config
        self.parameters = dict(parameters)
        self.momentum = {name: torch.zeros_like(p) for name, p in self.parameters.items()}

    @torch.no_grad()
    def step(self, scale: float) -> None:
        lr = self.config.lr * scale
        given = {name: p.grad for name, p in self.parameters.items() if p.grad is not None}
        if not given:
            return
        gradients = list(given.values())
        parameters = [self.parameters[name] for name in given]
        buffers = [self.momentum[name] for name in given]
        many.lerp_(buffers, gradients, 1 - self.config.momentum)
        nesterov = many.lerp(gradients, buffers, self.config.momentum)
        many.mul_(parameters, 1 - lr * self.config.decay)
        by_shape = defaultdict(list)  # long side last
        for parameter, direction in zip(parameters, nesterov, strict=True):
            wide = direction if parameter.shape[-2] <= parameter.shape[-1] else direction.mT
            wide = wide.reshape(-1, *wide.shape[-2:])
            by_shape[wide.shape[1:]].append((parameter, wide))
        for (_, longer), pairs in by_shape.items():
            together = orthogonalize(torch.cat([wide for _, wide in pairs]), self.config.rounds)
            # An orthogonal update has root mean square 1/√(longer side); AdamW's is about 0.2.
            step = lr * 0.2 * longer**0.5
            parts = together.split([len(wide) for _, wide in pairs])
            for (parameter, _), update in zip(pairs, parts, strict=True):
                tall = parameter.shape[-2] > parameter.shape[-1]
                update = (update.mT if tall else update).reshape(parameter.shape)
                parameter.add_(update, alpha=-step)

    def averaged(self) -> AbstractContextManager[None]:
        return nullcontext()

    def tensors(self) -> dict[str, Tensor]:
        return {f"momentum.{name}": buffer for name, buffer in self.momentum.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)


def orthogonalize(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Replace the singular values of each matrix by values near one (Newton–Schulz iteration).

    matrices: [n, rows, columns] with rows ≤ columns. Returns the same shape, under autocast in its
    format: the result is accurate to the iteration's own few tenths, so a wider one buys nothing
    where a narrower one is faster (and is 29 times slower where bfloat16 is only emulated).
    """
    device = matrices.device.type
    if torch.is_autocast_enabled(device):
        narrow = matrices.to(torch.get_autocast_dtype(device))
        with torch.autocast(
            device, enabled=False
        ):  # which has formats of its own for a GPU's norms
            return orthogonalize(narrow, rounds)
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    rows, columns = x.shape[-2:]
    exact = x.dtype.itemsize >= 4 and torch.get_float32_matmul_precision() == "highest"
    if exact and columns > _WIDE * rows:
        return torch.bmm(_factor(torch.bmm(x, x.mT), rounds), x)
    a, b, c = _QUINTIC
    for _ in range(rounds):
        gram = torch.bmm(x, x.mT)
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x


def _factor(gram: Tensor, rounds: int) -> Tensor:
    """What the iteration multiplies x by, from G = x·xᵀ alone.

    A round makes x into P·x, with P = a + b·G + c·G², and G into P·G·P: products of the short side
    in the place of two with the long one. What rounding adds to G's smallest eigenvalues grows from
    round to round, so this is for products of at least float32.
    """
    a, b, c = _QUINTIC
    total = None
    for left in reversed(range(rounds)):
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal(dim1=-2, dim2=-1).add_(a)
        total = polynomial if total is None else torch.bmm(polynomial, total)
        if left:
            gram = torch.bmm(torch.bmm(polynomial, gram), polynomial)
    assert total is not None
    return total
