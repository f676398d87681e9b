"""The scan of Mamba-2 against the paper's matrix form, written with loops in float64."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.layers.ssd import chunked_scan, scan

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
BOTH = pytest.mark.parametrize("form", [scan, chunked_scan])


def inputs(T: int, heads: int = 4, groups: int = 2, seed: int = 0) -> Inputs:
    """x, log_decay, B, C of two sequences in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(2, T, *shape, dtype=torch.float64, generator=generator)

    return normal(heads, 3), -normal(heads).abs(), normal(groups, 5), normal(groups, 5)


def first_state(heads: int = 4) -> Tensor:
    return torch.randn(2, heads, 3, 5, dtype=torch.float64, generator=torch.Generator())


def quadratic(
    x: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Dao and Gu 2024, section 5: y = (L ∘ C Bᵀ) x, and what the first state adds to it."""
    batch, T, heads, _ = x.shape
    share = heads // B.shape[2]
    y, last = torch.zeros_like(x), torch.zeros_like(state)
    for b in range(batch):
        for h in range(heads):
            a, reads, writes = log_decay[b, :, h], C[b, :, h // share], B[b, :, h // share]
            L = torch.zeros(T, T, dtype=x.dtype)
            for i in range(T):
                for j in range(i + 1):
                    L[i, j] = a[j + 1 : i + 1].sum().exp()
            y[b, :, h] = (L * (reads @ writes.T)) @ x[b, :, h]
            for i in range(T):
                y[b, i, h] += a[: i + 1].sum().exp() * state[b, h] @ reads[i]
            last[b, h] = a.sum().exp() * state[b, h]
            last[b, h] += (L[-1, :, None] * x[b, :, h]).T @ writes
    return y, last


@BOTH
@pytest.mark.parametrize(("heads", "groups"), [(4, 1), (4, 2), (3, 3)])
def test_the_recurrence_equals_the_masked_matrix(
    form: Callable[..., tuple[Tensor, Tensor]], heads: int, groups: int
) -> None:
    parts, state = inputs(11, heads, groups), first_state(heads)
    torch.testing.assert_close(form(*parts, state), quadratic(*parts, state))
    torch.testing.assert_close(form(*parts), quadratic(*parts, torch.zeros_like(state)))


@settings(max_examples=30)
@given(T=st.integers(1, 40), chunk=st.integers(1, 50), seed=st.integers(0, 99))
def test_chunks_of_any_length_change_nothing(T: int, chunk: int, seed: int) -> None:
    parts, state = inputs(T, seed=seed), first_state()
    documents = torch.randint(0, 4, (2, T), generator=torch.Generator().manual_seed(seed))
    for given_documents in (None, documents.sort().values, documents):
        torch.testing.assert_close(
            chunked_scan(*parts, state, documents=given_documents, chunk=chunk),
            scan(*parts, state, documents=given_documents),
        )


@pytest.mark.parametrize("packed", [False, True])
def test_gradients_are_those_of_the_recurrence(packed: bool) -> None:
    documents = torch.tensor([[0] * 5 + [1] * 8, [3] * 12 + [4]]) if packed else None
    gradients = []
    for form, options in ((scan, {}), (chunked_scan, {"chunk": 4})):
        leaves = [part.requires_grad_() for part in (*inputs(13), first_state())]
        y, state = form(*leaves, documents=documents, **options)
        loss = y.sin().sum() + state.cos().sum()
        gradients.append(torch.autograd.grad(loss, leaves))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_gradients_are_those_of_the_matrix() -> None:
    gradients = []
    for form in (quadratic, chunked_scan):
        leaves = [part.requires_grad_() for part in (*inputs(9), first_state())]
        y, state = form(*leaves)
        gradients.append(torch.autograd.grad(y.sin().sum() + state.cos().sum(), leaves))
    torch.testing.assert_close(gradients[0], gradients[1])


@BOTH
@pytest.mark.parametrize("cut", [1, 7, 12])
def test_a_sequence_in_pieces_is_the_sequence(
    form: Callable[..., tuple[Tensor, Tensor]], cut: int
) -> None:
    parts = inputs(13)
    y, last = form(*parts)
    first, state = form(*(part[:, :cut] for part in parts))
    second, state = form(*(part[:, cut:] for part in parts), state)
    torch.testing.assert_close(torch.cat((first, second), 1), y)
    torch.testing.assert_close(state, last)


@BOTH
def test_packed_documents_are_as_if_alone(form: Callable[..., tuple[Tensor, Tensor]]) -> None:
    parts, lengths = inputs(90), (3, 64, 1, 22)
    documents = torch.repeat_interleave(torch.tensor([7, 2, 7, 0]), torch.tensor(lengths))
    y, last = form(*parts, documents=documents.expand(2, -1))
    pieces = zip(*(part.split(lengths, 1) for part in parts), strict=True)
    alone = [form(*piece) for piece in pieces]
    torch.testing.assert_close(y, torch.cat([piece for piece, _ in alone], 1))
    torch.testing.assert_close(last, alone[-1][1])


@BOTH
def test_decays_that_vanish_in_float32_give_no_nan(
    form: Callable[..., tuple[Tensor, Tensor]],
) -> None:
    x, log_decay, B, C = (part.float() for part in inputs(70))
    leaves = [part.requires_grad_() for part in (x, log_decay * 1e4, B, C)]
    y, state = form(*leaves)
    gradients = torch.autograd.grad(y.sum() + state.sum(), leaves)
    assert all(part.isfinite().all() for part in (y, state, *gradients))


def test_chunks_in_float32_are_as_exact_as_the_recurrence() -> None:
    """Strong decay makes long sums of logarithms, of which differences are taken."""
    x, log_decay, B, C = (part.float() for part in inputs(128))
    exact = scan(x.double(), 8 * log_decay.double(), B.double(), C.double())[0]
    y = chunked_scan(x, 8 * log_decay, B, C)[0]
    torch.testing.assert_close(y.double(), exact, atol=5e-6, rtol=1e-5)


def test_half_precision_keeps_the_state_in_float32() -> None:
    x, log_decay, B, C = (part.float() for part in inputs(70))
    y, state = chunked_scan(x, log_decay, B, C)
    half = chunked_scan(x.bfloat16(), log_decay, B.bfloat16(), C.bfloat16())
    assert (half[0].dtype, half[1].dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(half[0].float(), y, atol=0.1, rtol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = chunked_scan(x, log_decay, B, C)
    assert (mixed[0].dtype, mixed[1].dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(mixed, (y, state), atol=0.1, rtol=0.05)
