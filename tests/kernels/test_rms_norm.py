"""RMSNorm's kernel against float64, under Triton's interpreter or on a GPU."""

from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, ON_GPU
from torch import Tensor
from torch.nn import functional as F

from groundup.core.errors import InputError

pytest.importorskip("triton")
from groundup.kernels.rms_norm import add_rms_norm, rms_norm

SHAPES = [(1, 4), (3, 7), (5, 1000), (2, 3, 65), (33, 256), (4, 5000)]


def inputs(shape: tuple[int, ...], dtype: torch.dtype, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(DEVICE, dtype) for _ in range(count)]


def gradients(outputs: Tensor, grad: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(outputs, leaves, grad))


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_it_is_as_exact_as_torch(shape: tuple[int, ...], dtype: torch.dtype, impl: Any) -> None:
    x, dy = inputs(shape, dtype, 2)
    weight = inputs(shape[-1:], torch.float32, 1)[0] + 1

    def run(function: Any, format: torch.dtype) -> list[Tensor]:
        leaves = [x.to(format).requires_grad_(), weight.to(format).requires_grad_()]
        y = function(*leaves)
        return [y.detach(), *gradients(y, dy.to(format), leaves)]

    exact = run(lambda x, w: F.rms_norm(x, w.shape, w, 1e-6), torch.float64)
    theirs = run(lambda x, w: F.rms_norm(x, w.shape, w, 1e-6), dtype)
    leaves = [x.clone().requires_grad_(), weight.requires_grad_()]
    y = rms_norm(*leaves, impl=impl)
    assert y.dtype == dtype
    ours = [y.detach(), *gradients(y, dy, leaves)]
    for found, other, wanted in zip(ours, theirs, exact, strict=True):
        slack = 1.25 if dtype == torch.bfloat16 else 1.1
        assert error(found, wanted) <= slack * error(other, wanted) + 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_the_sum_is_passed_on_and_back(
    shape: tuple[int, ...], dtype: torch.dtype, impl: Any
) -> None:
    x, r, dy, dh = inputs(shape, dtype, 4)
    weight = inputs(shape[-1:], torch.float32, 1)[0] + 1
    leaves = [tensor.requires_grad_() for tensor in (x, r, weight)]
    y, h = add_rms_norm(*leaves, impl=impl)
    assert torch.equal(h, x + r)
    ours = torch.autograd.grad([y, h], leaves, [dy, dh])

    exact = [tensor.detach().double().requires_grad_() for tensor in leaves]
    summed = (exact[0] + exact[1]).requires_grad_()
    wanted = F.rms_norm(summed, weight.shape, exact[2], 1e-6)
    theirs = torch.autograd.grad([wanted, summed], exact, [dy.double(), dh.double()])
    tolerance = 2e-6 if dtype == torch.float32 else 8e-3
    assert error(y.detach(), wanted.detach()) <= tolerance
    for found, other in zip(ours, theirs, strict=True):
        assert error(found, other) <= tolerance


def test_a_sum_that_nobody_reads_on() -> None:
    x, r = (tensor.requires_grad_() for tensor in inputs((5, 33), torch.float32, 2))
    weight = torch.ones(33, device=DEVICE)
    y, _ = add_rms_norm(x, r, weight, impl="triton")
    again, _ = add_rms_norm(x, r, weight, impl="reference")
    ours, theirs = (torch.autograd.grad(out.square().sum(), [x, r]) for out in (y, again))
    torch.testing.assert_close(ours, theirs)


def test_a_sum_that_alone_is_read_on() -> None:
    x, r = (tensor.requires_grad_() for tensor in inputs((5, 33), torch.float32, 2))
    weight = torch.ones(33, device=DEVICE, requires_grad=True)
    _, h = add_rms_norm(x, r, weight, impl="triton")
    grads = torch.autograd.grad(h.square().sum(), [x, r, weight], allow_unused=True)
    torch.testing.assert_close(grads[0], 2 * (x + r))
    torch.testing.assert_close(grads[1], 2 * (x + r))
    assert grads[2] is None or not grads[2].any()


def test_strides_do_not_matter() -> None:
    x, _ = inputs((6, 4, 40), torch.float32, 2)
    weight = inputs((6,), torch.float32, 1)[0]
    turned = x.permute(2, 1, 0).requires_grad_()
    y = rms_norm(turned, weight, impl="triton")
    torch.testing.assert_close(y, F.rms_norm(turned, (6,), weight, 1e-6))
    (grad,) = torch.autograd.grad(y.sum(), turned)
    torch.testing.assert_close(
        grad, torch.autograd.grad(F.rms_norm(turned, (6,), weight, 1e-6).sum(), turned)[0]
    )


def test_strides_of_everything_else_do_not_matter() -> None:
    """Weight, residual and both gradients."""
    x, r, dy, dh = (t.mT for t in inputs((5, 12, 7), torch.float32, 4))
    x = x.contiguous()
    weight = inputs((24,), torch.float32, 1)[0][::2]
    found = []
    for impl in ("triton", "reference"):
        leaves = [tensor.detach().requires_grad_() for tensor in (x, r, weight)]
        assert [leaf.is_contiguous() for leaf in leaves] == [True, False, False]
        y, h = add_rms_norm(*leaves, impl=impl)
        found.append([y, h, *torch.autograd.grad([y, h], leaves, [dy, dh])])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_what_does_not_fit_is_refused() -> None:
    x, weight = torch.ones(2, 3, device=DEVICE), torch.ones(3, device=DEVICE)
    with pytest.raises(ValueError, match="a weight of 3, not of"):
        rms_norm(x, weight[:2], impl="triton")
    with pytest.raises(ValueError, match="x and residual differ"):
        add_rms_norm(x, x[:1], weight, impl="triton")
    with pytest.raises(ValueError, match="x and residual differ"):
        add_rms_norm(x, x.double(), weight, impl="triton")


@pytest.mark.skipif(ON_GPU, reason="a GPU can run it")
def test_a_kernel_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(InputError, match="impl='triton' needs a GPU, and the tensors are on cpu"):
        rms_norm(torch.ones(2, 3), torch.ones(3), impl="triton")
