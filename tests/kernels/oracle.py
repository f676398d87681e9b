"""What kernels are compared with: a formula of PyTorch's in float64, and the same one in the
kernel's own format, as exact as which they must be."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
FORMATS = [torch.float32, torch.bfloat16, torch.float16]


def normal(shape: Sequence[int], dtype: torch.dtype, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tuple(shape), generator=generator).to(DEVICE, dtype)


def with_gradients(
    function: Callable[..., Tensor], leaves: Sequence[Tensor], dy: Tensor
) -> list[Tensor]:
    """The function's result, and the gradient of each leaf where that of the result is dy."""
    leaves = [leaf.detach().requires_grad_() for leaf in leaves]
    y = function(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy.to(y.dtype))]


def check(
    ours: Callable[..., Tensor], formula: Callable[..., Tensor], *leaves: Tensor, slack: float = 1.0
) -> None:
    """Values and gradients of `ours` are those of the formula in float64, and off by no more than
    the formula itself in the leaves' format, or than its rounding alone explains, but for
    `slack`."""
    dtype = leaves[0].dtype
    doubles = [leaf.double() for leaf in leaves]
    dy = normal(formula(*leaves).shape, dtype, seed=100)
    exact = with_gradients(formula, doubles, dy)
    theirs = with_gradients(formula, leaves, dy)
    found = with_gradients(ours, leaves, dy)
    slack *= 1.25 if dtype.itemsize == 2 else 1.1
    largest = max(float(wanted.norm()) for wanted in exact)
    for one, other, wanted in zip(found, theirs, exact, strict=True):
        assert one.shape == wanted.shape
        assert one.dtype == other.dtype
        assert one.isfinite().all()
        # What cancels to nothing is as exact as what it is the difference of.
        size = wanted.norm() if wanted.norm() > 1e-9 * largest else largest
        rounding = max(0.25 * torch.finfo(one.dtype).eps, 1e-6) * size
        allowed = slack * max(float((other.double() - wanted).norm()), float(rounding))
        error = float((one.double() - wanted).norm())
        assert error <= allowed, (error, allowed)
