"""The gated delta rule against the paper's equation in float64 and against transformers."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.layers.delta_rule import chunked_delta_rule, delta_rule

Rule = Callable[..., tuple[Tensor, Tensor]]
BOTH = pytest.mark.parametrize("rule", [delta_rule, chunked_delta_rule])


def inputs(T: int, groups: int = 2, seed: int = 0) -> tuple[Tensor, ...]:
    """queries, keys, values, log_decay and β of two sequences in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(2, T, *shape, dtype=torch.float64, generator=generator)

    queries, keys = (torch.nn.functional.normalize(normal(groups, 5), dim=-1) for _ in range(2))
    return queries, keys, normal(4, 3), -normal(4).abs(), normal(4).sigmoid()


def first_state() -> Tensor:
    return torch.randn(2, 4, 5, 3, dtype=torch.float64, generator=torch.Generator())


def by_the_equation(
    q: Tensor, k: Tensor, v: Tensor, a: Tensor, beta: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Yang et al. 2024, section 3.1: S_t = S_{t−1} (α_t (I − β_t k_t k_tᵀ)) + β_t v_t k_tᵀ."""
    o, last = torch.zeros_like(v), torch.zeros_like(state)
    share = v.shape[2] // k.shape[2]
    for b in range(v.shape[0]):
        for h in range(v.shape[2]):
            S = state[b, h].T
            for t in range(v.shape[1]):
                key, strength = k[b, t, h // share], beta[b, t, h]
                forget = torch.eye(len(key), dtype=v.dtype) - strength * torch.outer(key, key)
                S = S @ (a[b, t, h].exp() * forget) + strength * torch.outer(v[b, t, h], key)
                o[b, t, h] = S @ q[b, t, h // share]
            last[b, h] = S.T
    return o, last


@BOTH
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_it_is_the_papers_equation(rule: Rule, groups: int) -> None:
    parts, state = inputs(11, groups), first_state()
    torch.testing.assert_close(rule(*parts, state), by_the_equation(*parts, state))
    torch.testing.assert_close(rule(*parts), by_the_equation(*parts, torch.zeros_like(state)))


@BOTH
@pytest.mark.parametrize("T", [1, 64, 77])
def test_it_equals_transformers(rule: Rule, T: int) -> None:
    theirs = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")
    q, k, v, a, beta = (part.float() for part in inputs(T))
    state = first_state().float()
    ours = rule(q * 5**-0.5, k, v, a, beta, state)
    for form in (theirs.torch_recurrent_gated_delta_rule, theirs.torch_chunk_gated_delta_rule):
        expected = form(q, k, v, a, beta, initial_state=state, output_final_state=True)
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=30)
@given(T=st.integers(1, 40), chunk=st.integers(1, 50), seed=st.integers(0, 99))
def test_chunks_of_any_length_change_nothing(T: int, chunk: int, seed: int) -> None:
    parts, state = inputs(T, seed=seed), first_state()
    documents = torch.randint(0, 4, (2, T), generator=torch.Generator().manual_seed(seed))
    for given_documents in (None, documents.sort().values, documents):
        torch.testing.assert_close(
            chunked_delta_rule(*parts, state, documents=given_documents, chunk=chunk),
            delta_rule(*parts, state, documents=given_documents),
        )


@pytest.mark.parametrize("packed", [False, True])
def test_gradients_are_those_of_the_recurrence(packed: bool) -> None:
    documents = torch.tensor([[0] * 5 + [1] * 8, [3] * 12 + [4]]) if packed else None
    gradients = []
    for rule, options in ((delta_rule, {}), (chunked_delta_rule, {"chunk": 4})):
        leaves = [part.requires_grad_() for part in (*inputs(13), first_state())]
        o, state = rule(*leaves, documents=documents, **options)
        gradients.append(torch.autograd.grad(o.sin().sum() + state.cos().sum(), leaves))
    torch.testing.assert_close(gradients[0], gradients[1])


@BOTH
def test_a_repeated_key_written_in_full_is_answered_with_its_last_value(rule: Rule) -> None:
    """What tells it from linear attention, which would answer with the sum."""
    key = torch.zeros(1, 9, 1, 4)
    key[..., 2] = 1
    values = torch.randn(1, 9, 1, 3)
    o, _ = rule(key, key, values, torch.zeros(1, 9, 1), torch.ones(1, 9, 1))
    torch.testing.assert_close(o, values)


@BOTH
def test_decays_that_vanish_in_float32_give_no_nan(rule: Rule) -> None:
    q, k, v, a, beta = (part.float() for part in inputs(70))
    leaves = [part.requires_grad_() for part in (q, k, v, a * 1e4, beta)]
    o, state = rule(*leaves)
    gradients = torch.autograd.grad(o.sum() + state.sum(), leaves)
    assert all(part.isfinite().all() for part in (o, state, *gradients))
