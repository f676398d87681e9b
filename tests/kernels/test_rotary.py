"""The rotation's kernel against complex numbers in float64, under Triton's interpreter or on a
GPU."""

from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, ON_GPU, check, normal
from torch import Tensor

from groundup.core.errors import InputError

pytest.importorskip("triton")
from groundup.kernels.rotary import rotate


def angles(*shape: int) -> Tensor:
    return 10 * normal(shape, torch.float32, seed=1)


def formula(x: Tensor, angle: Tensor, interleaved: bool) -> Tensor:
    """Pairs as complex numbers, times exp(i · angle)."""
    rotated, wide = 2 * angle.shape[-1], x if x.dtype == torch.float64 else x.float()
    pairs = wide[..., :rotated].unflatten(-1, (-1, 2) if interleaved else (2, -1))
    pairs = pairs if interleaved else pairs.mT
    factors = torch.polar(torch.ones_like(angle), angle)[..., None, :]
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * factors)
    turned = turned if interleaved else turned.mT
    return torch.cat((turned.flatten(-2).to(x.dtype), x[..., rotated:]), dim=-1)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("impl", ["reference", "triton"])
@pytest.mark.parametrize(
    ("shape", "angle_shape"),
    [
        ((2, 5, 3, 16), (5, 8)),  # whole heads, positions of one sequence
        ((2, 5, 3, 16), (2, 5, 3)),  # six of sixteen, positions of each sequence
        ((1, 3, 1, 61), (1, 3, 30)),  # an odd width
        ((3, 7, 2, 10), (7, 1)),  # one pair
        ((2, 3, 5, 300), (3, 10)),  # much that stays
    ],
)
def test_it_is_as_exact_as_torch(
    shape: tuple[int, ...],
    angle_shape: tuple[int, ...],
    interleaved: bool,
    dtype: torch.dtype,
    impl: Any,
) -> None:
    angle = angles(*angle_shape)
    check(
        lambda x: rotate(x, angle.cos(), angle.sin(), interleaved=interleaved, impl=impl),
        lambda x: formula(x, angle, interleaved),
        normal(shape, dtype),
    )


@pytest.mark.parametrize("interleaved", [False, True])
def test_strides_do_not_matter(interleaved: bool) -> None:
    """Heads before positions, a part of a wider product, and numbers of a head that are apart."""
    angle = angles(4, 3)
    cos, sin = angle.cos(), angle.sin()
    views = {
        "turned": lambda x: x.transpose(1, 2),
        "part": lambda x: x[:, :, :4, 2:],
        "apart": lambda x: x.permute(0, 2, 3, 1),
    }
    for name, shape in (("turned", (2, 5, 4, 8)), ("part", (2, 4, 7, 9)), ("apart", (2, 6, 4, 5))):
        view = views[name]
        check(
            lambda x, view=view: rotate(view(x), cos, sin, interleaved=interleaved, impl="triton"),
            lambda x, view=view: formula(view(x), angle, interleaved),
            normal(shape, torch.float32),
        )


def test_cosines_of_half_precision_and_other_strides() -> None:
    x, angle = normal((2, 4, 3, 8), torch.float32)[..., :6], angles(3, 4).T
    cos, sin = angle.cos().bfloat16(), angle.sin().bfloat16()
    ours = rotate(x, cos, sin, interleaved=False, impl="triton")
    plain = rotate(x, cos, sin, interleaved=False, impl="reference")
    torch.testing.assert_close(ours, plain)


def test_a_factor_of_cosine_and_sine_stands_in_the_gradient_too() -> None:
    """YaRN's factor for the logits is in them."""
    angle = angles(4, 3)
    check(
        lambda x: rotate(x, 1.5 * angle.cos(), 1.5 * angle.sin(), interleaved=False, impl="triton"),
        lambda x: 1.5 * formula(x, angle, False),
        normal((2, 4, 3, 6), torch.float32),
    )


def test_of_nothing_comes_nothing() -> None:
    x = torch.empty(2, 0, 3, 8, device=DEVICE, requires_grad=True)
    y = rotate(x, angles(0, 4), angles(0, 4), interleaved=False, impl="triton")
    y.sum().backward()
    assert y.shape == x.shape


@pytest.mark.parametrize("shape", [(5, 4), (2, 4), (4, 9), (3, 4, 4)])
def test_angles_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    x = torch.ones(2, 4, 3, 8, device=DEVICE)
    with pytest.raises(ValueError, match="x of .2, 4, 3, 8., cos of"):
        rotate(x, angles(*shape), angles(*shape), interleaved=False, impl="triton")


@pytest.mark.skipif(ON_GPU, reason="a GPU can run it")
def test_a_kernel_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(InputError, match="impl='triton' needs a GPU, and the tensors are on cpu"):
        rotate(torch.ones(1, 2, 1, 4), angles(2, 2), angles(2, 2), interleaved=True, impl="triton")
