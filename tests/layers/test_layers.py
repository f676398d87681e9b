"""Each layer against torch's own, or against the paper's formula in float64."""

import math

import pytest
import torch
from torch import nn

from groundup.layers import GLU, MLP, GroupedQuery, LayerNorm, RMSNorm, RoPE
from groundup.layers.attend import attend_blockwise
from groundup.layers.rope import rotate


def test_rms_norm_equals_torch() -> None:
    x = torch.randn(3, 5, 16)
    ours, theirs = RMSNorm(eps=1e-5).build(16), nn.RMSNorm(16, eps=1e-5)
    weight = torch.randn(16)
    with torch.no_grad():
        ours.weight.copy_(weight)
        theirs.weight.copy_(weight)
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours(x.bfloat16()).dtype == torch.bfloat16


def test_rms_norm_may_have_a_bias() -> None:
    """One row at a time: x / √(mean of squares + eps) · weight + bias; with offset 1 + weight."""
    x = torch.randn(3, 5, 16, dtype=torch.float64)
    for offset in (False, True):
        norm = RMSNorm(eps=1e-3, bias=True, offset=offset).build(16).double()
        weight, bias = torch.randn(2, 16, dtype=torch.float64)
        with torch.no_grad():
            norm.weight.copy_(weight)
            norm.bias.copy_(bias)
        rows = [
            [v / math.sqrt(sum(u * u for u in row) / 16 + 1e-3) for v in row]
            for row in x.view(-1, 16).tolist()
        ]
        expected = torch.tensor(rows, dtype=torch.float64) * (weight + offset) + bias
        torch.testing.assert_close(norm(x).view(-1, 16), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", [False, True])
def test_layer_norm_equals_torch_with_and_without_bias(bias: bool) -> None:
    x = torch.randn(3, 5, 16, dtype=torch.float64) + 2
    ours = LayerNorm(eps=1e-3, bias=bias).build(16).double()
    theirs = nn.LayerNorm(16, eps=1e-3, bias=bias, dtype=torch.float64)
    with torch.no_grad():
        for mine, parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(torch.randn(16))
            parameter.copy_(mine)
    assert (ours.bias is None) == (not bias)
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours(x.bfloat16()).dtype == torch.bfloat16


def test_rotation_is_a_complex_product() -> None:
    """Su et al. 2021, equation 13: pair i of position p is multiplied by exp(i·p·θ_i)."""
    x = torch.randn(2, 7, 3, 8, dtype=torch.float64)
    cos, sin = RoPE(base=100.0).build(8)(torch.arange(7))
    pairs = torch.complex(x[..., :4], x[..., 4:])
    angle = torch.arange(7)[:, None] * 100.0 ** (-torch.arange(4, dtype=torch.float64) / 4)
    turned = pairs * torch.polar(torch.ones_like(angle), angle)[:, None]
    expected = torch.cat((turned.real, turned.imag), -1)
    torch.testing.assert_close(rotate(x, (cos, sin)), expected, atol=1e-6, rtol=1e-6)


def test_rotated_products_depend_on_distance_alone() -> None:
    query, key = torch.randn(2, 1, 1, 1, 16, dtype=torch.float64)
    rotary = RoPE().build(16)

    def product(p: int, q: int) -> torch.Tensor:
        turned = [rotate(v, rotary(torch.tensor([at]))) for v, at in ((query, p), (key, q))]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(product(3, 1), product(103, 101), atol=1e-4, rtol=1e-5)


def test_an_odd_head_width_cannot_be_rotated() -> None:
    with pytest.raises(ValueError, match="even head width"):
        RoPE().build(7)


def test_swiglu_is_the_formula() -> None:
    mlp = GLU(hidden=24).build(8).double()
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    gate = x @ mlp.gate.weight.T
    expected = (gate / (1 + torch.exp(-gate)) * (x @ mlp.up.weight.T)) @ mlp.down.weight.T
    torch.testing.assert_close(mlp(x), expected)


def test_relu_squared_is_the_formula() -> None:
    """So et al. 2021, section 4: max(x, 0)², with biases."""
    mlp = MLP(hidden=24, activation="relu2", bias=True).build(8).double()
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    inner = x @ mlp.up.weight.T + mlp.up.bias
    inner = torch.where(inner > 0, inner * inner, 0.0)
    torch.testing.assert_close(mlp(x), inner @ mlp.down.weight.T + mlp.down.bias)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "relu2"])
def test_glus_are_the_formula(activation: str) -> None:
    """Dauphin et al. 2017, equation 1: σ(x W) · (x V); and with other gates."""
    mlp = GLU(hidden=24, activation=activation, bias=True).build(8).double()
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    gate = x @ mlp.gate.weight.T + mlp.gate.bias
    opened = {
        "sigmoid": 1 / (1 + torch.exp(-gate)),
        "relu": torch.where(gate > 0, gate, 0.0),
        "relu2": torch.where(gate > 0, gate * gate, 0.0),
    }
    inner = opened[activation] * (x @ mlp.up.weight.T + mlp.up.bias)
    torch.testing.assert_close(mlp(x), inner @ mlp.down.weight.T + mlp.down.bias)


def attention_by_hand(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """One query at a time, in float64: [B, H, T, K]."""
    out = torch.zeros(q.shape, dtype=torch.float64)
    group = q.shape[1] // k.shape[1]
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            for t in range(q.shape[2]):
                keys, values = (
                    k[b, h // group, : t + 1].double(),
                    v[b, h // group, : t + 1].double(),
                )
                scores = keys @ q[b, h, t].double() / q.shape[3] ** 0.5
                out[b, h, t] = scores.softmax(0) @ values
    return out


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (3, 1)])
@pytest.mark.parametrize("block", [1, 3, 5, 64])
def test_blockwise_attention_equals_the_definition(heads: int, kv_heads: int, block: int) -> None:
    q = torch.randn(2, heads, 11, 8)
    k, v = torch.randn(2, 2, kv_heads, 11, 8)
    expected = attention_by_hand(q, k, v).float()
    torch.testing.assert_close(attend_blockwise(q, k, v, scale=8**-0.5, block=block), expected)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_both_implementations_agree_forward_and_backward(kv_heads: int) -> None:
    attention = GroupedQuery(heads=4, kv_heads=kv_heads, head_width=8).build(32)
    rotation = RoPE().build(8)(torch.arange(13))
    x = torch.randn(2, 13, 32)
    results = []
    for implementation in ("sdpa", "blockwise"):
        leaf = x.clone().requires_grad_()
        y = attention(leaf, rotation=rotation, implementation=implementation)[0]
        y.square().sum().backward()
        results.append((y.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-4)


def test_heads_must_be_shared_evenly() -> None:
    with pytest.raises(ValueError, match="kv_heads \\(3\\) must divide heads \\(4\\)"):
        GroupedQuery(heads=4, kv_heads=3, head_width=8)


def test_shifted_attention_is_the_formula() -> None:
    """Xu et al. 2025, section 3, one position and head at a time, in float64."""
    config = GroupedQuery(heads=4, kv_heads=2, head_width=8, query_key_norm=None, shift=True)
    attention = config.build(24).double()
    x = torch.randn(2, 7, 24, dtype=torch.float64)
    with torch.no_grad():
        attention.key_shift.share.copy_(torch.tensor([0.3, 1.4]))
        attention.value_shift.share.copy_(torch.tensor([-0.2, 0.6]))
    rotation = RoPE().build(8)(torch.arange(7))

    def shifted(projected: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        heads = projected.view(2, 7, 2, 8).clone()
        for t in range(7):
            for h in range(2):
                before = projected.view(2, 7, 2, 8)[:, t - 1, h] if t else 0.0
                heads[:, t, h] = (1 - share[h]) * heads[:, t, h] + share[h] * before
        return heads

    keys = shifted(attention.key(x), attention.key_shift.share)
    values = shifted(attention.value(x), attention.value_shift.share)
    queries = attention.query(x).view(2, 7, 4, 8)
    attended = attention_by_hand(
        rotate(queries, rotation).transpose(1, 2),
        rotate(keys, rotation).transpose(1, 2),
        values.transpose(1, 2),
    )
    expected = attention.output(attended.transpose(1, 2).reshape(2, 7, 32))
    torch.testing.assert_close(attention(x, rotation=rotation)[0], expected, atol=1e-6, rtol=1e-6)


def test_a_key_learns_of_the_token_before_and_of_none_after() -> None:
    attention = GroupedQuery(heads=2, kv_heads=1, head_width=8, shift=True).build(16)
    rotation = RoPE().build(8)(torch.arange(6))
    x = torch.randn(1, 6, 16)
    changed = x.clone()
    changed[0, 4] += 1
    torch.testing.assert_close(
        attention(x, rotation=rotation)[0][:, :4], attention(changed, rotation=rotation)[0][:, :4]
    )
