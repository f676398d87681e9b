"""SOAP: its law of turning, its two special cases, and its bases."""

import pytest
import torch
from torch import Tensor

from groundup.optim import SOAP, AdamW

double = {"dtype": torch.float64}


def orthogonal(size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(size, size, generator=generator, **double)).Q


def path(config: SOAP | AdamW, start: Tensor, gradients: list[Tensor]) -> Tensor:
    weight = start.clone()
    state = config.build({"w": weight})
    for gradient in gradients:
        weight.grad = gradient
        state.step(1.0)
    return weight


@pytest.mark.parametrize("frequency", [1, 3])
def test_a_turned_problem_has_a_turned_path(frequency: int) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(4, 4, generator=generator, **double) for _ in range(12)]
    start, U, V = (
        torch.randn(4, 4, generator=generator, **double),
        orthogonal(4, 1),
        orthogonal(4, 2),
    )
    config = SOAP(lr=0.1, decay=0.1, frequency=frequency)
    turned = path(config, U @ start @ V.mT, [U @ gradient @ V.mT for gradient in gradients])
    torch.testing.assert_close(turned, U @ path(config, start, gradients) @ V.mT)
    adam = AdamW(lr=0.1, decay=0.1)
    theirs = path(adam, U @ start @ V.mT, [U @ gradient @ V.mT for gradient in gradients])
    assert (theirs - U @ path(adam, start, gradients) @ V.mT).abs().max() > 0.01


def test_numbers_are_adamw_s() -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(1, 1, generator=generator, **double) for _ in range(30)]
    start = torch.ones(1, 1, **double)
    ours = path(SOAP(lr=0.1, betas=(0.9, 0.95), decay=0.2), start, gradients)
    theirs = path(AdamW(lr=0.1, betas=(0.9, 0.95), decay=0.2), start, gradients)
    torch.testing.assert_close(ours, theirs)


def test_one_step_is_the_sign_of_every_singular_value() -> None:
    """The first gradient's bases diagonalise it, and Adam's first step is a sign: so UVᵀ."""
    gradient = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), **double)
    weight = path(SOAP(lr=0.1), torch.zeros(3, 5, **double), [gradient])
    U, _, Vh = torch.linalg.svd(gradient, full_matrices=False)
    torch.testing.assert_close(weight, -0.1 * U @ Vh, atol=1e-6, rtol=0)


def test_a_stack_is_its_matrices_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(3, 4, 6, generator=generator, **double) for _ in range(5)]
    start = torch.randn(3, 4, 6, generator=generator, **double)
    whole = path(SOAP(lr=0.1, frequency=2), start, gradients)
    for i in range(3):
        alone = path(SOAP(lr=0.1, frequency=2), start[i], [g[i] for g in gradients])
        torch.testing.assert_close(whole[i], alone)


def test_the_basis_comes_to_diagonalise_the_preconditioner() -> None:
    """Gradients of one covariance: rounds of a power iteration find its eigenvectors."""
    generator = torch.Generator().manual_seed(0)
    spread = orthogonal(4, 1) * torch.tensor([1.0, 3.0, 9.0, 27.0], **double)
    weight = torch.zeros(4, 6, **double)
    state = SOAP(lr=0.0, frequency=1, betas=(0.9, 0.999)).build({"w": weight})
    for _ in range(400):
        weight.grad = spread @ torch.randn(4, 6, generator=generator, **double)
        state.step(1.0)
    kept = state.kept["w"]
    inside = kept["left_basis"].mT @ kept["left"] @ kept["left_basis"]
    scale = inside.diagonal().outer(inside.diagonal()).sqrt()
    assert ((inside / scale).triu(1).abs()).max() < 0.02


def test_only_matrices() -> None:
    with pytest.raises(ValueError, match="updates matrices, and b has 1 axes"):
        SOAP(lr=0.1).build({"b": torch.zeros(3)})
