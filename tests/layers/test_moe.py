"""Mixtures of experts against a loop over tokens and experts in float64, and their loss of balance
against `transformers`."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.layers import MoE
from groundup.layers.moe import MixtureOfExperts

WIDTH = 12


def built(config: MoE) -> MixtureOfExperts:
    moe = config.build(WIDTH)
    generator = torch.Generator().manual_seed(0)
    moe.initialize(generator, gain=1.0)
    torch.nn.init.normal_(moe.router.weight, generator=generator)
    if moe.shared is not None:
        for weight in moe.shared.parameters():
            torch.nn.init.normal_(weight, std=WIDTH**-0.5, generator=generator)
    if moe.bias is not None:
        torch.nn.init.normal_(moe.bias, std=0.3, generator=generator)
    return moe


def by_hand(moe: MixtureOfExperts, x: torch.Tensor) -> torch.Tensor:
    """One token and one expert at a time, as the papers' equations say."""
    c = moe.config
    rows = []
    filled = [0] * c.experts
    most = math.inf if c.capacity is None else math.ceil(c.capacity * len(x) * c.active / c.experts)
    for token in x.double():
        logits = moe.router.weight.double() @ token
        scores = logits.softmax(0) if c.scoring == "softmax" else logits.sigmoid()
        choice = scores if moe.bias is None else scores + moe.bias.double()
        size = c.experts // c.groups
        groups = [
            choice[g * size : (g + 1) * size].sort(descending=True).values for g in range(c.groups)
        ]
        value = [g[: 1 if c.scoring == "softmax" else 2].sum().item() for g in groups]
        open_groups = sorted(range(c.groups), key=lambda g: -value[g])[: c.active_groups]
        allowed = [e for e in range(c.experts) if e // size in open_groups]
        chosen = sorted(allowed, key=lambda e: -choice[e].item())[: c.active]
        total = sum(scores[e] for e in chosen) if c.normalize else 1.0
        y = torch.zeros(WIDTH, dtype=torch.float64)
        for e in chosen:
            if filled[e] >= most:
                continue
            filled[e] += 1
            inner = torch.nn.functional.silu(moe.gate[e].double() @ token)
            inner = inner * (moe.up[e].double() @ token)
            y = y + c.scale * scores[e] / total * (moe.down[e].double() @ inner)
        if moe.shared is not None:
            inner = torch.nn.functional.silu(moe.shared.gate.weight.double() @ token)
            y = y + moe.shared.down.weight.double() @ (
                inner * (moe.shared.up.weight.double() @ token)
            )
        rows.append(y)
    return torch.stack(rows)


@pytest.mark.parametrize(
    "config",
    [
        MoE(experts=4, active=2, hidden=8),
        MoE(experts=4, active=1, hidden=8, normalize=False, scale=2.5),
        MoE(experts=8, active=3, hidden=4, shared=16),
        MoE(experts=8, active=3, hidden=4, groups=4, active_groups=2, normalize=False),
        MoE(experts=8, active=2, hidden=4, scoring="sigmoid", groups=4, active_groups=2, bias=True),
        MoE(experts=5, active=5, hidden=4, scoring="sigmoid"),
    ],
)
def test_output_is_the_loop_s(config: MoE) -> None:
    moe = built(config)
    x = torch.randn(3, 7, WIDTH, generator=torch.Generator().manual_seed(1))
    y, report = moe(x)
    expected = by_hand(moe, x.view(-1, WIDTH)).view(3, 7, WIDTH)
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-5)
    assert report.load.sum().item() == pytest.approx(1.0)
    assert report.dropped == 0


@pytest.mark.parametrize("capacity", [None, 0.75])
def test_gradients_are_the_loop_s(capacity: float | None) -> None:
    moe = built(MoE(experts=4, active=2, hidden=8, shared=8, capacity=capacity)).double()
    x = torch.randn(11, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    learned = [x.requires_grad_(), *moe.parameters()]
    results = []
    for f in (lambda: moe(x)[0], lambda: by_hand(moe, x)):
        results.append(torch.autograd.grad(f().square().sum(), learned))
    for ours, theirs in zip(*results, strict=True):  # scores are float32 in any format
        assert (ours - theirs).abs().max() < 1e-6 * theirs.abs().max()


@pytest.mark.parametrize("capacity", [0.5, 1.0, 1.5])
def test_beyond_capacity_the_later_tokens_are_dropped(capacity: float) -> None:
    """Tokens fill an expert in their order, whatever the rank of the choice."""
    moe = built(MoE(experts=4, active=1, hidden=8, capacity=capacity))
    x = torch.randn(30, WIDTH, generator=torch.Generator().manual_seed(1))
    y, report = moe(x)
    torch.testing.assert_close(y.double(), by_hand(moe, x), rtol=1e-4, atol=1e-5)
    most = math.ceil(capacity * 30 / 4)
    lost = (report.load * 30 - most).clamp(min=0).sum() / 30
    assert report.dropped.item() == pytest.approx(lost.item(), abs=1e-6)


def test_the_balance_loss_is_theirs() -> None:
    """`transformers` sums the load over the k choices, where Switch's load sums to one."""
    transformers = pytest.importorskip("transformers")
    moe = built(MoE(experts=8, active=3, hidden=4))
    x = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(1))
    logits = x @ moe.router.weight.T
    theirs = transformers.models.mixtral.modeling_mixtral.load_balancing_loss_func((logits,), 8, 3)
    assert moe(x)[1].balance.item() * 3 == pytest.approx(theirs.item(), rel=1e-5)


def test_the_losses_are_weighted_and_reach_the_router() -> None:
    moe = built(MoE(experts=4, active=2, hidden=8, balance=0.5, z=0.25))
    x = torch.randn(9, WIDTH, generator=torch.Generator().manual_seed(1))
    report = moe(x)[1]
    logits = (x @ moe.router.weight.T).double()
    assert report.z.item() == pytest.approx(logits.logsumexp(1).square().mean().item(), rel=1e-5)
    assert report.loss.item() == pytest.approx(0.5 * report.balance.item() + 0.25 * report.z.item())
    report.loss.backward()
    assert moe.router.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("scoring", ["softmax", "sigmoid"])
def test_the_router_is_exact_under_autocast(scoring: str) -> None:
    """Experts, their shares and the losses are those of float32, backwards as well."""
    moe = built(MoE(experts=16, active=3, hidden=4, scoring=scoring))
    x = torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(1))
    found = []
    for autocast in (False, True):
        moe.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            report = moe(x)[1]
        report.loss.backward()
        found.append((report, moe.router.weight.grad.clone()))
    torch.testing.assert_close(found[1], found[0])


def test_rebalancing_evens_out_the_load() -> None:
    moe = built(MoE(experts=8, active=2, hidden=4, scoring="sigmoid", bias=True))
    torch.nn.init.zeros_(moe.bias)
    x = torch.randn(500, WIDTH, generator=torch.Generator().manual_seed(1)) + 0.5
    before = moe(x)[1].load.max()
    for _ in range(300):
        moe.rebalance(moe(x)[1].load, rate=0.01)
    after = moe(x)[1].load.max()
    assert before > 0.2
    assert after < 0.14  # even is 0.125


@given(st.integers(1, 6), st.integers(1, 40), st.booleans(), st.integers(0, 9))
@settings(max_examples=30)
def test_tokens_do_not_influence_each_other(k: int, tokens: int, shared: bool, seed: int) -> None:
    moe = built(MoE(experts=6, active=k, hidden=4, shared=4 * shared))
    x = torch.randn(tokens, WIDTH, generator=torch.Generator().manual_seed(seed))
    together = moe(x)[0]
    alone = torch.cat([moe(row[None])[0] for row in x])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"active": 5}, r"active \(5\) must be from 1 to experts \(4\)"),
        ({"groups": 3}, r"groups \(3\) must divide experts \(4\)"),
        ({"groups": 2, "active_groups": 3}, r"active_groups \(3\) must be from 1 to groups"),
        ({"active": 3, "groups": 2}, r"active \(3\) is more than the active groups hold"),
    ],
)
def test_what_cannot_be_routed_is_refused(fields: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MoE(**{"experts": 4, "active": 2, "hidden": 4, **fields})
