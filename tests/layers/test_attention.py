"""Every kind of attention against the definition, one query and head at a time, in float64."""

import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.families import CONFIG, KINDS, PLAIN, scrambled

from groundup.core.errors import InputError
from groundup.layers.attend import attend, causal_mask
from groundup.layers.attention import visible_pairs

IMPLEMENTATIONS = ("reference", "sdpa", "blockwise")


def by_hand(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scale: float,
    mask: torch.Tensor,
    bias: torch.Tensor | None,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    B, H, T, _ = q.shape
    group = H // k.shape[1]
    out = torch.zeros(B, H, T, v.shape[-1], dtype=torch.float64)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                exps, read = [], torch.zeros(v.shape[-1], dtype=torch.float64)
                for s in range(k.shape[2]):
                    if not mask[b % len(mask), 0, t, s]:
                        continue
                    logit = scale * (q[b, h, t].double() @ k[b, h // group, s].double()).item()
                    if softcap is not None:
                        logit = softcap * math.tanh(logit / softcap)
                    if bias is not None:
                        logit += bias[h, t, s].item()
                    exps.append(math.exp(logit))
                    read += exps[-1] * v[b, h // group, s].double()
                total = sum(exps) + (0 if sinks is None else math.exp(sinks[h].item()))
                out[b, h, t] = read / total
    return out


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("sunk", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("window", [None, 3])
def test_attention_is_the_definition(
    implementation: str, softcap: float | None, sunk: bool, biased: bool, window: int | None
) -> None:
    generator = torch.Generator().manual_seed(0)
    B, H, T, K = 2, 4, 7, 8
    q = torch.randn(B, H, T, K, generator=generator)
    k = torch.randn(B, 2, T, K, generator=generator)
    v = torch.randn(B, 2, T, 5, generator=generator)
    sinks = torch.randn(H, generator=generator) if sunk else None
    bias = torch.randn(H, T, T, generator=generator) if biased else None
    seen = causal_mask(T, T, q.device, window=window)[None, None]
    found = attend(
        q,
        k,
        v,
        scale=0.7,
        mask=None if window is None else seen,
        bias=bias,
        softcap=softcap,
        sinks=sinks,
        implementation=implementation,
    )
    expected = by_hand(q, k, v, 0.7, seen, bias, softcap, sinks)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("sunk", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_a_query_that_sees_nothing_reads_zeros_and_learns_nothing(
    implementation: str, softcap: float | None, sunk: bool, biased: bool
) -> None:
    """Its row of the output, all others as without it, and gradients of which none is NaN."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(2, 4, 7, 8, dtype=torch.float64, generator=generator, requires_grad=True)
        for _ in range(3)
    )
    sinks = torch.randn(4, generator=generator).double() if sunk else None
    bias = torch.randn(4, 7, 7, generator=generator).double() if biased else None
    mask = causal_mask(7, 7, q.device)[None, None].repeat(2, 1, 1, 1)
    mask[1, 0, [0, 3]] = False
    found = attend(
        q,
        k,
        v,
        scale=0.7,
        mask=mask,
        bias=bias,
        softcap=softcap,
        sinks=sinks,
        implementation=implementation,
    )
    blind = ~mask.any(-1).expand(2, 4, 7)
    assert (found[blind] == 0).all()
    expected = by_hand(q, k, v, 0.7, mask, bias, softcap, sinks)
    torch.testing.assert_close(found[~blind], expected[~blind], rtol=1e-5, atol=1e-5)
    found.square().sum().backward()
    assert all(part.grad.isfinite().all() for part in (q, k, v))
    assert (q.grad[blind] == 0).all()


@given(st.integers(1, 40), st.integers(0, 20), st.integers(1, 50))
@settings(max_examples=50)
def test_a_window_sees_the_last_positions_and_itself(T: int, before: int, window: int) -> None:
    S = T + before
    mask = causal_mask(T, S, torch.device("cpu"), window=window)
    for t in range(T):
        at = before + t
        assert mask[t].nonzero().flatten().tolist() == list(range(max(0, at - window + 1), at + 1))
    if before == 0:
        assert mask.sum() == visible_pairs(T, window)
        assert causal_mask(T, T, torch.device("cpu")).sum() == visible_pairs(T)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_packed_documents_are_as_if_alone(kind: str, implementation: str) -> None:
    """A number that comes again is another document: 5 5 8 5. Rows are packed differently."""
    model = scrambled(KINDS[kind])
    tokens = torch.randint(61, (2, 24), generator=torch.Generator().manual_seed(2))
    rows = [([5, 8, 5, 2], [7, 1, 12, 4]), ([3, 3, 0, 3], [2, 9, 8, 5])]
    documents = torch.stack(
        [torch.tensor(n).repeat_interleave(torch.tensor(lengths)) for n, lengths in rows]
    )
    found = model(tokens, documents=documents, implementation=implementation)
    for row, lengths in ((0, (7, 1, 12, 4)), (1, (11, 8, 5))):
        alone = [model(part) for part in tokens[row : row + 1].split(lengths, dim=1)]
        torch.testing.assert_close(found[row], torch.cat(alone, 1)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_padding_is_a_document_of_its_own(kind: str) -> None:
    """On the left and on the right, without a mask and without positions."""
    model = scrambled(KINDS[kind])
    tokens = torch.randint(61, (3, 20), generator=torch.Generator().manual_seed(2))
    real = torch.ones_like(tokens)
    real[1, :6] = 0
    real[2, 13:] = 0
    found = model(tokens, documents=real)
    for row, part in ((0, slice(0, 20)), (1, slice(6, 20)), (2, slice(0, 13))):
        alone = model(tokens[row : row + 1, part])
        torch.testing.assert_close(found[row : row + 1, part], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["grouped", "windowed", "latent"])
@torch.no_grad()
def test_a_mask_and_documents_hide_what_either_hides(kind: str) -> None:
    """The mask hides the first position from all others, and documents are kept apart as well."""
    model = scrambled(KINDS[kind])
    tokens = torch.randint(61, (1, 14), generator=torch.Generator().manual_seed(2))
    documents = torch.tensor([[0] * 8 + [1] * 6])
    mask = causal_mask(14, 14, tokens.device)[None, None].clone()
    mask[..., 1:, 0] = False
    found = model(tokens, documents=documents, mask=mask)
    first = model(tokens[:, :8], mask=mask[..., :8, :8])
    torch.testing.assert_close(found[:, :8], first, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, 8:], model(tokens[:, 8:]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_has_a_gradient_and_none_sees_ahead(kind: str) -> None:
    model = scrambled(KINDS[kind])
    tokens = torch.randint(61, (2, 20), generator=torch.Generator().manual_seed(2))
    for implementation in IMPLEMENTATIONS:
        model.zero_grad()
        model.losses(tokens[:, :-1], tokens[:, 1:], implementation=implementation).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    changed = tokens.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % 61
    torch.testing.assert_close(model(tokens)[:, :12], model(changed)[:, :12])


@torch.no_grad()
def test_a_borrowing_layer_reads_the_keys_and_values_of_the_layer_below() -> None:
    """The whole model by hand, in float64: layers 1 and 2 read what layer 0 made, layer 3 has its
    own. Each layer asks with queries of its own."""
    borrow = dataclasses.replace(PLAIN, borrow=True)
    attention = (PLAIN, borrow, borrow, PLAIN)
    model = scrambled(dataclasses.replace(CONFIG, depth=4, attention=attention)).double()
    tokens = torch.randint(61, (13,), generator=torch.Generator().manual_seed(2))

    def norm(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight

    def turned(x: torch.Tensor) -> torch.Tensor:
        """[T, heads, 8]: pairs (i, i + 4) as complex numbers."""
        angle = torch.arange(13)[:, None] * 10_000.0 ** (-torch.arange(4).double() / 4)
        pairs = torch.complex(x[..., :4], x[..., 4:]) * torch.exp(1j * angle)[:, None]
        return torch.cat((pairs.real, pairs.imag), -1)

    x = model.embedding.weight[tokens]
    for block, kind in zip(model.blocks, attention, strict=True):
        part, inner = block.attention, norm(block.attention_norm.weight, x)
        queries = (inner @ part.query.weight.T).view(13, 4, 8)
        queries = turned(norm(part.query_norm.weight, queries))
        if not kind.borrow:
            keys = (inner @ part.key.weight.T).view(13, 2, 8)
            keys = turned(norm(part.key_norm.weight, keys))
            values = (inner @ part.value.weight.T).view(13, 2, 8)
        read = torch.zeros(13, 4, 8, dtype=torch.float64)
        for h, t in itertools.product(range(4), range(13)):
            logits = keys[: t + 1, h // 2] @ queries[t, h] / 8**0.5
            read[t, h] = logits.softmax(0) @ values[: t + 1, h // 2]
        x = x + read.flatten(1) @ part.output.weight.T
        inner, mlp = norm(block.mlp_norm.weight, x), block.mlp
        gate = inner @ mlp.gate.weight.T
        inner = gate / (1 + torch.exp(-gate)) * (inner @ mlp.up.weight.T)
        x = x + inner @ mlp.down.weight.T
    expected = norm(model.readout.norm.weight, x) @ model.readout.head.weight.T
    torch.testing.assert_close(model(tokens[None])[0], expected, rtol=1e-4, atol=1e-5)


def test_the_first_layer_cannot_borrow() -> None:
    with pytest.raises(ValueError, match="no layer below to borrow"):
        dataclasses.replace(CONFIG, attention=dataclasses.replace(PLAIN, borrow=True))


def test_a_sequence_beyond_the_context_is_refused() -> None:
    with pytest.raises(InputError, match="has 49 tokens, and the model's context holds 48"):
        scrambled(CONFIG)(torch.zeros(1, 49, dtype=torch.int64))


@pytest.mark.parametrize("placement", ["pre", "post", "sandwich", "after"])
def test_placements_are_their_formulas(placement: str) -> None:
    config = dataclasses.replace(CONFIG, placement=placement, depth=1, residual_scale=0.5)
    model = scrambled(config)
    block = model.blocks[0]
    x = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(3))
    view = model.positions.views[0](torch.arange(9))
    found, _, _ = block(
        x, view=view, mask=None, cache=None, layer=0, borrowed=None, implementation="sdpa"
    )

    def branch(kind: str, x: torch.Tensor) -> torch.Tensor:
        if kind == "mlp":
            return block.mlp(x)
        return block.attention(x, rotation=view[0])[0]

    for kind in ("attention", "mlp"):
        before, after = (getattr(block, f"{kind}_{norm}") for norm in ("norm", "post"))
        if placement == "pre":
            x = x + 0.5 * branch(kind, before(x))
        elif placement == "post":
            x = after(x + 0.5 * branch(kind, x))
        elif placement == "sandwich":
            x = x + after(0.5 * branch(kind, before(x)))
        else:
            x = x + after(0.5 * branch(kind, x))
    torch.testing.assert_close(found, x)
