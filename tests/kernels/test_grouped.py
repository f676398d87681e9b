"""Grouped products against a loop over the runs in float64, under Triton's interpreter or on a
GPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, ON_GPU, check, normal, with_gradients
from torch import Tensor

from groundup.core.errors import InputError

pytest.importorskip("triton")
from groundup.kernels import grouped as kernel
from groundup.kernels.grouped import grouped_linear

IMPLS = pytest.mark.parametrize("impl", ["reference", "triton"])


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few rows have several."""
    monkeypatch.setattr(kernel, "_TILES", {2: (16, 32, 16, 4, 1), 4: (32, 16, 16, 4, 1)})


def formula(counts: list[int]) -> Callable[[Tensor, Tensor], Tensor]:
    """One product for each run."""

    def rows(x: Tensor, weight: Tensor) -> Tensor:
        starts = [sum(counts[:expert]) for expert in range(len(counts))]
        products = [
            x[start : start + count] @ weight[expert].T
            for expert, (start, count) in enumerate(zip(starts, counts, strict=True))
        ]
        beyond = x.new_zeros(len(x) - sum(counts), weight.shape[1])
        return torch.cat([*products, beyond]) + 0 * x.sum()

    return rows


def counted(counts: list[int]) -> Tensor:
    return torch.tensor(counts, device=DEVICE)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(
    ("counts", "N", "D", "H"),
    [
        ([5, 20, 16, 3], 44, 24, 40),  # runs shorter, longer than a tile, and of its length
        ([0, 33, 0, 0, 2, 0], 40, 17, 50),  # empty ones, rows beyond, odd widths
        ([7], 7, 48, 16),
        ([0, 0, 0], 20, 16, 16),  # nothing for anybody
    ],
)
@IMPLS
@pytest.mark.usefixtures("small_tiles")
def test_it_is_as_exact_as_torch(
    counts: list[int], N: int, D: int, H: int, dtype: torch.dtype, impl: Any
) -> None:
    x, weight = normal((N, D), dtype), normal((len(counts), H, D), dtype, seed=1)
    check(
        lambda x, w: grouped_linear(x, w, counted(counts), impl=impl),
        formula(counts),
        x,
        weight,
        slack=1.5,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_tiles_of_a_gpu(dtype: torch.dtype) -> None:
    counts = [100, 0, 150, 1]
    x, weight = normal((260, 70), dtype), normal((4, 130, 70), dtype, seed=1)
    check(
        lambda x, w: grouped_linear(x, w, counted(counts), impl="triton"),
        formula(counts),
        x,
        weight,
        slack=1.5,
    )


@pytest.mark.parametrize("count_dtype", [torch.int32, torch.int64])
@pytest.mark.usefixtures("small_tiles")
def test_many_runs_of_all_lengths(count_dtype: torch.dtype) -> None:
    """Lengths about a tile's, with rows beyond and without: every tile finds its run."""
    generator = torch.Generator().manual_seed(0)
    for beyond in (0, 1, 50):
        counts = torch.randint(35, (9,), generator=generator)
        N = int(counts.sum()) + beyond
        x, weight = normal((N, 3), torch.float32), normal((9, 2, 3), torch.float32, seed=1)
        y = grouped_linear(x, weight, counts.to(DEVICE, count_dtype), impl="triton")
        torch.testing.assert_close(y, formula(counts.tolist())(x, weight))


@pytest.mark.usefixtures("small_tiles")
def test_an_expert_without_rows_has_a_gradient_of_zeros() -> None:
    x, weight = normal((20, 8), torch.float32), normal((3, 8, 8), torch.float32, seed=1)
    _, dx, dweight = with_gradients(
        lambda x, w: grouped_linear(x, w, counted([10, 0, 6]), impl="triton"),
        [x, weight],
        torch.ones(20, 8, device=DEVICE),
    )
    assert not dweight[1].any()
    assert dweight[0].all()
    assert not dx[16:].any()


@pytest.mark.usefixtures("small_tiles")
def test_strides_do_not_matter() -> None:
    counts = [5, 20]
    x, weight = normal((9, 25), torch.float32), normal((9, 2, 12), torch.float32, seed=1)
    check(
        lambda x, w: grouped_linear(x.T, w.permute(1, 2, 0), counted(counts), impl="triton").T,
        lambda x, w: formula(counts)(x.T, w.permute(1, 2, 0)).T,
        x,
        weight,
        slack=1.5,
    )


def test_of_nothing_comes_nothing() -> None:
    y, dx, dweight = with_gradients(
        lambda x, w: grouped_linear(x, w, counted([0, 0]), impl="triton"),
        [normal((0, 8), torch.float32), normal((2, 4, 8), torch.float32)],
        torch.ones(0, 4, device=DEVICE),
    )
    assert y.shape == (0, 4)
    assert dx.shape == (0, 8)
    assert not dweight.any()


@IMPLS
def test_autocast_computes_in_its_format(impl: Any) -> None:
    x, weight = normal((9, 8), torch.float32), normal((2, 4, 8), torch.float32, seed=1)
    with torch.autocast(DEVICE, torch.bfloat16):
        y = grouped_linear(x, weight, counted([4, 5]), impl=impl)
    narrow = grouped_linear(x.bfloat16(), weight.bfloat16(), counted([4, 5]), impl=impl)
    assert torch.equal(y, narrow)


def test_shapes_and_formats_that_do_not_fit_are_refused() -> None:
    x, weight = normal((9, 8), torch.float32), normal((2, 4, 8), torch.float32)
    for wrong in [(x[:, 1:], weight), (x, weight[1:]), (x, weight.bfloat16())]:
        with pytest.raises(ValueError, match=r"x .*weight .*counts|x and weight differ"):
            grouped_linear(*wrong, counted([4, 5]), impl="triton")


@pytest.mark.skipif(ON_GPU, reason="a GPU can run it")
def test_a_kernel_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(InputError, match="impl='triton' needs a GPU, and the tensors are on cpu"):
        grouped_linear(torch.ones(2, 3), torch.ones(1, 4, 3), counted([2]), impl="triton")
