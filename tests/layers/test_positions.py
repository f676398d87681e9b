"""Positions against `transformers`' own functions, and against the papers' numbers."""

import math
from typing import Any

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd

from groundup.layers import ALiBi, GroupedQuery, Learned, RelativeBias, RoPE, Sinusoidal
from groundup.layers.alibi import slopes
from groundup.layers.rope import rotate
from groundup.layers.rope_scaling import NTK, Linear, Llama3, YaRN, yarn_factor


def theirs(**rope: Any) -> tuple[torch.Tensor, float]:
    """Frequencies and factor of the logits, of a head of 64."""
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = transformers.LlamaConfig(
        hidden_size=128,
        num_attention_heads=2,
        head_dim=64,
        max_position_embeddings=8192,
        rope_parameters={"rope_theta": 10_000.0, **rope},
    )
    return ROPE_INIT_FUNCTIONS[rope["rope_type"]](config, torch.device("cpu"))


def ours(rope: RoPE, width: int = 64) -> tuple[torch.Tensor, float]:
    """The same, from the angles at position 1 and the length of cosine and sine."""
    cos, sin = rope.build(width)(torch.tensor([1]))
    return torch.atan2(sin, cos)[0].double(), (cos.square() + sin.square()).sqrt().max().item()


def test_linear_scaling_is_theirs() -> None:
    expected, factor = theirs(rope_type="linear", factor=4.0)
    found, length = ours(RoPE(scaling=Linear(factor=4.0)))
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-9)
    assert length == pytest.approx(factor)


@pytest.mark.parametrize("context", [1024, 8192])
def test_llama3_scaling_is_theirs(context: int) -> None:
    expected, _ = theirs(
        rope_type="llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=context,
    )
    found, _ = ours(RoPE(scaling=Llama3(factor=8.0, context=context)))
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("context", [256, 4096])
def test_yarn_is_theirs(context: int, whole: bool) -> None:
    expected, factor = theirs(
        rope_type="yarn",
        factor=16.0,
        original_max_position_embeddings=context,
        truncate=whole,
    )
    scaling = YaRN(factor=16.0, context=context, logit_factor=yarn_factor(16.0), whole=whole)
    found, length = ours(RoPE(scaling=scaling))
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-9)
    assert length == pytest.approx(factor)


@pytest.mark.parametrize("factor", [2.0, 4.0])
def test_ntk_is_theirs(factor: float) -> None:
    """Their factor grows with the text: at the length of 1 + (α − 1) / f contexts it is α."""
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = transformers.LlamaConfig(
        hidden_size=128,
        num_attention_heads=2,
        head_dim=64,
        max_position_embeddings=8192,
        rope_parameters={"rope_theta": 10_000.0, "rope_type": "dynamic", "factor": 8.0},
    )
    length = int(8192 * (1 + (factor - 1) / 8))
    expected, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, torch.device("cpu"), seq_len=length)
    found, _ = ours(RoPE(scaling=NTK(factor=factor)))
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-9)
    powers = torch.arange(0, 64, 2, dtype=torch.float64) / 64
    formula = (10_000 * factor ** (64 / 62)) ** -powers
    torch.testing.assert_close(found, formula, rtol=1e-5, atol=1e-9)


def test_ntk_slows_the_slowest_pair_alone_by_the_factor() -> None:
    """Peng et al. 2023, section 3.1: the last pair turns as with interpolation."""
    plain, _ = ours(RoPE())
    scaled, _ = ours(RoPE(scaling=NTK(factor=4.0)))
    ratio = plain / scaled
    assert ratio[0] == pytest.approx(1.0, abs=1e-6)
    assert ratio[-1] == pytest.approx(4.0, rel=1e-4)
    assert (ratio.diff() > 0).all()


def test_interleaved_is_half_split_of_permuted_columns() -> None:
    x = torch.randn(2, 5, 3, 8)
    rotation = RoPE().build(8)(torch.arange(5))
    order = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])
    expected = rotate(x[..., order], rotation)
    torch.testing.assert_close(rotate(x, rotation, interleaved=True)[..., order], expected)


def test_a_share_leaves_the_rest_of_each_head_as_it_is() -> None:
    x = torch.randn(2, 5, 3, 8)
    turned = rotate(x, RoPE(share=0.5).build(8)(torch.arange(5)))
    torch.testing.assert_close(turned[..., 4:], x[..., 4:])
    torch.testing.assert_close(
        turned[..., :4], rotate(x[..., :4], RoPE().build(4)(torch.arange(5)))
    )


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_share_is_rotated_as_theirs(share: float) -> None:
    """GPT-NeoX rotates a quarter of each head (Black et al. 2022, section 2.1)."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.gpt_neox import modeling_gpt_neox

    config = transformers.GPTNeoXConfig(
        hidden_size=48,
        num_attention_heads=3,
        rope_parameters={
            "rope_theta": 500.0,
            "rope_type": "default",
            "partial_rotary_factor": share,
        },
    )
    x = torch.randn(2, 9, 3, 16, dtype=torch.float64)
    at = torch.stack((torch.arange(9), torch.arange(9) * 3 + 5))
    cos, sin = modeling_gpt_neox.GPTNeoXRotaryEmbedding(config)(x, at)
    expected, _ = modeling_gpt_neox.apply_rotary_pos_emb(x, x, cos, sin, unsqueeze_dim=2)
    found = rotate(x, RoPE(base=500.0, share=share).build(16)(at))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_compiler_takes_a_model_s_rotations_whole_as_they_are() -> None:
    rope, positions = RoPE().build(8), torch.arange(20)
    torch.library.opcheck(torch.ops.groundup.cos_sin, (torch.randn(20, 4, dtype=torch.float64),))
    seen: list[str] = []

    def keep(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    traced = torch.compile(rope, backend=aot_autograd(fw_compiler=keep), fullgraph=True)
    for ours, theirs in zip(traced(positions), rope(positions), strict=True):
        assert torch.equal(ours, theirs)
    assert "groundup.cos_sin.default" in seen
    assert not any("aten.cos" in name for name in seen)


def test_sinusoids_are_the_papers() -> None:
    """Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/D)); 2i + 1: cosine."""
    found = Sinusoidal().build(0, 6)(torch.tensor([0, 3]))
    for i in range(3):
        angle = 3 / 10_000 ** (2 * i / 6)
        assert found[1, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
        assert found[1, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    apart = Sinusoidal(interleaved=False).build(0, 6)(torch.tensor([0, 3]))
    torch.testing.assert_close(apart, found[:, [0, 2, 4, 1, 3, 5]])


def test_an_odd_width_has_no_sinusoids() -> None:
    with pytest.raises(ValueError, match="even width, not 7"):
        Sinusoidal().build(0, 7)


def test_learned_positions_are_rows_of_a_table() -> None:
    positions = Learned().build(10, 4)
    torch.nn.init.normal_(positions.weight)
    found = positions(torch.tensor([[0, 1], [7, 9]]))
    torch.testing.assert_close(found[1, 0], positions.weight[7])


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (8, [2.0**-i for i in range(1, 9)]),  # the paper's example, section 3
        (4, [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]),
        (6, [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]),
    ],
)
def test_alibi_s_slopes_are_the_papers(heads: int, expected: list[float]) -> None:
    assert slopes(heads) == pytest.approx(expected)


@pytest.mark.parametrize("implementation", ["reference", "sdpa", "blockwise"])
@pytest.mark.parametrize("heads", [4, 6])
@torch.no_grad()
def test_alibi_attention_is_bloom_s(heads: int, implementation: str) -> None:
    """Their biases grow with the key's position, ours fall with its distance: to a softmax it is
    the same. One query at a time, in float64."""
    pytest.importorskip("transformers")
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    T, K = 11, 8
    attention = GroupedQuery(heads=heads, kv_heads=2, head_width=K, query_key_norm=None)
    attention = attention.build(20).double()
    x = torch.randn(1, T, 20, dtype=torch.float64)
    at = torch.arange(T)
    bias = ALiBi().build(heads)(at, at)
    found, _ = attention(x, bias=bias, implementation=implementation)
    theirs = build_alibi_tensor(torch.ones(1, T), heads, torch.float64)[:, 0]
    queries, keys, values = (
        part(x).view(T, -1, K) for part in (attention.query, attention.key, attention.value)
    )
    read = torch.zeros(T, heads, K, dtype=torch.float64)
    for h in range(heads):
        shared = h // (heads // 2)
        for t in range(T):
            logits = keys[: t + 1, shared] @ queries[t, h] / K**0.5 + theirs[h, : t + 1]
            read[t, h] = logits.softmax(0) @ values[: t + 1, shared]
    torch.testing.assert_close(found[0], attention.output(read.flatten(1)), rtol=1e-5, atol=1e-6)


def test_alibi_falls_with_the_distance() -> None:
    bias = ALiBi().build(8)(torch.tensor([5]), torch.arange(6))
    assert bias[0, 0].tolist() == pytest.approx([-0.5 * d for d in (5, 4, 3, 2, 1, 0)])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (16, 40)])
def test_t5_s_buckets_are_theirs(causal: bool, buckets: int, distance: int) -> None:
    pytest.importorskip("transformers")
    from transformers.models.t5.modeling_t5 import T5Attention

    bias = RelativeBias(buckets=buckets, distance=distance, causal=causal).build(3)
    torch.nn.init.normal_(bias.weight)
    at = torch.arange(300)
    found = bias(at, at)
    bucket = T5Attention._relative_position_bucket(
        at[None, :] - at[:, None], not causal, buckets, distance
    )
    torch.testing.assert_close(found, bias.weight[bucket].permute(2, 0, 1), rtol=0, atol=0)
