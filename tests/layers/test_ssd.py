"""The scan of Mamba-2: recurrence against quadratic form, and chunks against recurrence."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.layers import Mamba2
from groundup.layers.ssd import chunked_scan, scan

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def inputs(T: int, groups: int = 2, seed: int = 0) -> Inputs:
    """x, log_decay, B, C in float64; some decays are strong."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    decay = -((4 * torch.rand(2, T, 4, generator=generator, dtype=torch.float64)) ** 2)
    return normal(2, T, 4, 5), decay, normal(2, T, groups, 3), normal(2, T, groups, 3)


def quadratic(
    x: torch.Tensor, log_decay: torch.Tensor, B: torch.Tensor, C: torch.Tensor, run: torch.Tensor
) -> torch.Tensor:
    """Dao and Gu 2024, equation 16: y_t = Σ_s (C_t·B_s) exp(a_{s+1} + … + a_t) x_s, by terms."""
    y = torch.zeros_like(x)
    group = x.shape[2] // B.shape[2]
    for b in range(x.shape[0]):
        for h in range(x.shape[2]):
            for t in range(x.shape[1]):
                for s in range(t + 1):
                    if run[b, s] != run[b, t]:
                        continue
                    weight = C[b, t, h // group] @ B[b, s, h // group]
                    weight = weight * log_decay[b, s + 1 : t + 1, h].sum().exp()
                    y[b, t, h] += weight * x[b, s, h]
    return y


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_recurrence_is_the_quadratic_form(groups: int) -> None:
    parts = inputs(11, groups)
    y, _ = scan(*parts)
    torch.testing.assert_close(y, quadratic(*parts, torch.zeros(2, 11)))


@given(st.integers(1, 40), st.integers(1, 17), st.booleans(), st.booleans(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_chunks_are_the_recurrence(
    T: int, chunk: int, packed: bool, carried: bool, seed: int
) -> None:
    """Of any length, with documents of any length, with a state that comes in."""
    parts = inputs(T, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    documents = (torch.rand(2, T, generator=generator) < 0.2).cumsum(1) if packed else None
    state = torch.randn(2, 4, 5, 3, generator=generator, dtype=torch.float64) if carried else None
    expected, last = scan(*parts, state=state, documents=documents)
    found, state_found = chunked_scan(*parts, state=state, documents=documents, chunk=chunk)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(state_found, last)


def test_documents_do_not_meet() -> None:
    parts = inputs(12)
    documents = torch.tensor([[0] * 5 + [1] * 7, [3] * 1 + [2] * 10 + [9]])
    y, _ = scan(*parts, documents=documents)
    torch.testing.assert_close(y, quadratic(*parts, documents))


def test_gradients_of_chunks_are_those_of_the_recurrence() -> None:
    results = []
    for run in (scan, lambda *parts: chunked_scan(*parts, chunk=4)):
        parts = [part.requires_grad_() for part in inputs(13)]
        y, last = run(*parts)
        (y.square().sum() + last.sum()).backward()
        results.append([part.grad for part in parts])
    torch.testing.assert_close(results[0], results[1])


@torch.no_grad()
def test_both_implementations_of_the_mixer_agree() -> None:
    mixer = Mamba2(heads=4, head_width=6, state=5, groups=2, chunk=4).build(16)
    mixer.initialize(torch.Generator().manual_seed(0), 1.0)
    x = torch.randn(2, 19, 16, generator=torch.Generator().manual_seed(1))
    documents = torch.tensor([[0] * 19, [0] * 6 + [1] * 13])
    chunks, _ = mixer(x, documents=documents)
    recurrence, _ = mixer(x, documents=documents, implementation="reference")
    torch.testing.assert_close(chunks, recurrence, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(chunks[1, 6:], mixer(x[1:, 6:])[0][0], rtol=1e-4, atol=1e-5)


def test_rates_and_steps_begin_where_the_paper_s_code_does() -> None:
    mixer = Mamba2(heads=64, head_width=2, state=2).build(8)
    mixer.initialize(torch.Generator().manual_seed(0), 1.0)
    rate, step = mixer.log_rate.exp(), torch.nn.functional.softplus(mixer.step_bias)
    assert 1 <= rate.min() < 3
    assert 14 < rate.max() <= 16
    assert 0.00099 <= step.min() < 0.003
    assert 0.03 < step.max() <= 0.101


def test_groups_must_divide_heads() -> None:
    with pytest.raises(ValueError, match=r"groups \(3\) must divide heads \(4\)"):
        Mamba2(heads=4, head_width=2, state=2, groups=3)
