"""Muon: the orthogonal factor against an SVD, the update against its formula."""

import pytest
import torch

from groundup.core.device import Device
from groundup.optim import Muon
from groundup.optim.muon import orthogonalize


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 16, 48), (1, 64, 200)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_singular_values_come_near_one_and_directions_stay(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    with Device(torch.device("cpu"), dtype).autocast():
        y = orthogonalize(x)
    assert y.dtype == dtype
    y = y.float()
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    # In the basis of x's own singular vectors y is diagonal: UᵀYV = diag(about 1).
    inside = u.mT @ y @ vh.mT
    diagonal = inside.diagonal(dim1=-2, dim2=-1)
    large = s / s.norm(dim=-1, keepdim=True) > 0.01
    assert ((diagonal > 0.6) & (diagonal < 1.3))[large].all()
    off = inside - torch.diag_embed(diagonal)
    assert off.abs().max() < 0.06  # bfloat16


@pytest.mark.parametrize("columns", [32, 48, 49, 200])
@pytest.mark.parametrize("rounds", [1, 5])
def test_wide_matrices_are_iterated_to_the_same(columns: int, rounds: int) -> None:
    """The paper's iteration in float64; a gradient's singular values span several decades."""
    torch.manual_seed(0)
    x = torch.randn(3, 32, 4) @ torch.randn(3, 4, columns) + 0.001 * torch.randn(3, 32, columns)
    expected = x.double() / x.double().norm(dim=(-2, -1), keepdim=True)
    for _ in range(rounds):
        gram = expected @ expected.mT
        expected = 3.4445 * expected + (-4.7750 * gram + 2.0315 * gram @ gram) @ expected
    assert (orthogonalize(x, rounds) - expected).abs().max() < 1e-3 * expected.abs().max()


def test_the_update_is_momentum_made_orthogonal_and_scaled() -> None:
    """Two steps by hand, with torch's exact SVD in place of the iteration."""
    torch.manual_seed(0)
    weight = torch.randn(12, 8, requires_grad=True)
    expected = weight.detach().clone()
    buffer = torch.zeros(12, 8)
    state = Muon(lr=0.1, momentum=0.9, decay=0.2).build({"w": weight})
    for _ in range(2):
        gradient = torch.randn(12, 8)
        weight.grad = gradient.clone()
        state.step(0.5)
        buffer = 0.9 * buffer + 0.1 * gradient
        nesterov = 0.1 * gradient + 0.9 * buffer
        u, _, vh = torch.linalg.svd(nesterov, full_matrices=False)
        expected = expected * (1 - 0.05 * 0.2) - 0.05 * 0.2 * 12**0.5 * (u @ vh)
    step_size = 0.05 * 0.2 * 12**0.5
    assert (weight - expected).abs().max() < 0.5 * step_size
    # and the direction agrees far better than the size
    moved = (weight - expected).norm() / expected.norm()
    assert moved < 0.02


def test_there_is_at_least_one_round() -> None:
    with pytest.raises(ValueError, match=r"rounds \(0\) must be at least 1"):
        Muon(lr=0.1, rounds=0)


def test_only_matrices() -> None:
    with pytest.raises(ValueError, match="updates matrices, and b has 1 axes"):
        Muon(lr=0.1).build({"b": torch.zeros(3)})


def test_a_stack_is_its_matrices_one_by_one() -> None:
    torch.manual_seed(0)
    stack, gradients = torch.randn(2, 3, 12, 8)
    alone = [matrix.clone() for matrix in stack]
    whole = stack.clone()
    whole.grad = gradients
    Muon(lr=0.1).build({"w": whole}).step(1.0)
    for matrix, gradient in zip(alone, gradients, strict=True):
        matrix.grad = gradient.clone()
        Muon(lr=0.1).build({"w": matrix}).step(1.0)
    torch.testing.assert_close(whole, torch.stack(alone))


def test_without_gradients_nothing_moves() -> None:
    weight = torch.ones(3, 4, requires_grad=True)
    Muon(lr=0.1, decay=0.5).build({"w": weight}).step(1.0)
    Muon(lr=0.1).build({}).step(1.0)
    assert weight.eq(1).all()
