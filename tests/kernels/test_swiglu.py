"""The gate's kernel against float64, under Triton's interpreter or on a GPU."""

from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, ON_GPU, check, normal
from torch import Tensor
from torch.nn import functional as F

from groundup.core.errors import InputError

pytest.importorskip("triton")
from groundup.kernels.swiglu import silu_gate


def formula(gate: Tensor, up: Tensor) -> Tensor:
    return F.silu(gate) * up


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("shape", [(301,), (3, 67), (2, 3, 65), (5, 1000)])
@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_it_is_as_exact_as_torch(shape: tuple[int, ...], dtype: torch.dtype, impl: Any) -> None:
    gate, up = normal(shape, dtype), normal(shape, dtype, seed=1)
    check(lambda g, u: silu_gate(g, u, impl=impl), formula, gate, up)


@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_large_gates_neither_overflow_nor_vanish(impl: Any) -> None:
    gate = torch.tensor([-1e30, -200.0, -88.0, -0.0, 88.0, 200.0, 1e30], device=DEVICE)
    check(lambda g, u: silu_gate(g, u, impl=impl), formula, gate, torch.ones_like(gate))


def test_strides_do_not_matter() -> None:
    """Gate and up as the halves of one product, and of two orders of axes."""
    halves = normal((4, 5, 18), torch.float32)
    check(
        lambda x: silu_gate(*x.chunk(2, dim=-1), impl="triton"),
        lambda x: formula(*x.chunk(2, dim=-1)),
        halves,
    )
    turned = normal((9, 5, 4), torch.float32, seed=1).permute(2, 1, 0)
    check(lambda g, u: silu_gate(g, u, impl="triton"), formula, halves[..., :9], turned)


def test_of_nothing_comes_nothing() -> None:
    gate, up = (torch.empty(0, 5, device=DEVICE, requires_grad=True) for _ in range(2))
    y = silu_gate(gate, up, impl="triton")
    y.sum().backward()
    assert y.shape == (0, 5)
    assert gate.grad is not None
    assert gate.grad.shape == (0, 5)


def test_shapes_and_formats_that_differ_are_refused() -> None:
    x = torch.ones(2, 3, device=DEVICE)
    with pytest.raises(ValueError, match="gate and up differ"):
        silu_gate(x, x[:1], impl="triton")
    with pytest.raises(ValueError, match="gate and up differ"):
        silu_gate(x, x.bfloat16(), impl="triton")


@pytest.mark.skipif(ON_GPU, reason="a GPU can run it")
def test_a_kernel_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(InputError, match="impl='triton' needs a GPU, and the tensors are on cpu"):
        silu_gate(torch.ones(2), torch.ones(2), impl="triton")
