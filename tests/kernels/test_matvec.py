"""The product of a matrix and a vector against float64, under Triton's interpreter or on a GPU."""

from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, ON_GPU, normal

from groundup.core.errors import InputError

pytest.importorskip("triton")
from groundup.kernels import matvec as kernel
from groundup.kernels.matvec import matvec

SHAPES = [(1, 1), (5, 7), (9, 64), (33, 130), (4, 200)]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that several follow each other."""
    monkeypatch.setattr(kernel, "_DEPTH", 64)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("outputs", "inner"), SHAPES)
@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_it_is_the_product(outputs: int, inner: int, dtype: torch.dtype, impl: Any) -> None:
    x, weight = normal((1, 1, inner), dtype), normal((outputs, inner), dtype, seed=1)
    y = matvec(x, weight, impl=impl)
    exact = (weight.double() @ x.double().flatten()).view(1, 1, outputs)
    assert y.dtype == dtype
    terms = (weight.double().abs() @ x.double().abs().flatten()).view(1, 1, outputs)
    allowed = torch.finfo(dtype).eps * exact.abs() + 1e-6 * terms
    assert ((y.double() - exact).abs() <= allowed).all()


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_weights_in_eight_bits(dtype: torch.dtype, impl: Any) -> None:
    x, scales = normal((1, 70), dtype), normal((11,), torch.float32, seed=2)
    generator = torch.Generator().manual_seed(3)
    weight = torch.randint(-127, 128, (11, 70), generator=generator).to(DEVICE, torch.int8)
    exact = (weight.double() @ x.double().flatten()) * scales.double()
    y = matvec(x, weight, scales=scales, impl=impl)
    assert (y.double()[0] - exact).norm() <= 2 * torch.finfo(dtype).eps * exact.norm() + 1e-5


def test_what_does_not_fit_is_refused() -> None:
    weight = torch.zeros(3, 4, device=DEVICE)
    with pytest.raises(ValueError, match="one row of 4 is needed"):
        matvec(torch.zeros(2, 4, device=DEVICE), weight, impl="triton")
    with pytest.raises(ValueError, match="scales of 3"):
        matvec(torch.zeros(4, device=DEVICE), weight, scales=weight[0], impl="triton")


@pytest.mark.skipif(ON_GPU, reason="there is a GPU")
def test_a_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(InputError, match="impl='triton' needs a GPU"):
        matvec(torch.zeros(4), torch.zeros(3, 4), impl="triton")
