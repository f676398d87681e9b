"""The Gated DeltaNet mixer against Hugging Face transformers, with the same weights."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.layers.delta import GatedDelta, GatedDeltaMixer

WIDTH = 24
SMALL = GatedDelta(key_heads=2, value_heads=4, key_width=6, value_width=5, chunk=8)


def built(config: GatedDelta = SMALL) -> GatedDeltaMixer:
    mixer, generator = config.build(WIDTH), torch.Generator().manual_seed(3)
    mixer.initialize(generator, 1.0)
    with torch.no_grad():
        for linear in (mixer.input, mixer.output):
            linear.weight.normal_(std=linear.in_features**-0.5, generator=generator)
        mixer.norm_weight.normal_(generator=generator)
    return mixer


def copied(ours: GatedDeltaMixer, module: Any) -> Any:
    """Their mixer with the weights of ours; its matrices hold the rows of one key head together."""
    c = ours.config
    config = module.Qwen3NextConfig(
        hidden_size=WIDTH,
        linear_num_key_heads=c.key_heads,
        linear_num_value_heads=c.value_heads,
        linear_key_head_dim=c.key_width,
        linear_value_head_dim=c.value_width,
        linear_conv_kernel_dim=c.convolution,
        rms_norm_eps=c.eps,
        num_hidden_layers=1,
    )
    theirs = module.Qwen3NextGatedDeltaNet(config, layer_idx=0)
    sizes = [ours.keys, ours.keys, ours.values, ours.values, c.value_heads, c.value_heads]
    parts = [p.unflatten(0, (c.key_heads, -1)) for p in ours.input.weight.split(sizes)]
    weights = {
        "in_proj_qkvz.weight": torch.cat(parts[:4], dim=1).flatten(0, 1),
        "in_proj_ba.weight": torch.cat(parts[4:], dim=1).flatten(0, 1),
        "conv1d.weight": ours.convolution.weight[:, None],
        "dt_bias": ours.step_bias,
        "A_log": ours.A_log,
        "norm.weight": ours.norm_weight,
        "out_proj.weight": ours.output.weight,
    }
    theirs.load_state_dict(weights)
    return theirs


@pytest.mark.parametrize("T", [1, 7, 64, 81])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
@pytest.mark.parametrize("convolution", [3, 4])
def test_the_mixer_equals_transformers(T: int, key_heads: int, convolution: int) -> None:
    module = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")
    ours = built(
        GatedDelta(
            key_heads=key_heads,
            value_heads=4,
            key_width=6,
            value_width=5,
            convolution=convolution,
            chunk=16,
        )
    )
    theirs = copied(ours, module)
    x = torch.randn(2, T, WIDTH, generator=torch.Generator().manual_seed(T))
    results = []
    for mixer, step_bias in ((ours, ours.step_bias), (theirs, theirs.dt_bias)):
        leaf = x.clone().requires_grad_()
        y = mixer(leaf)
        y = y[0] if isinstance(y, tuple) else y
        gradients = torch.autograd.grad(y.sin().sum(), (leaf, mixer.A_log, step_bias))
        results.append((y, *gradients))
    for ours_is, theirs_is in zip(*results, strict=True):
        scale = theirs_is.abs().max().item()
        torch.testing.assert_close(ours_is, theirs_is, rtol=1e-5, atol=1e-5 * scale)


@settings(max_examples=20)
@given(cuts=st.sets(st.integers(1, 20), max_size=4) | st.just(set(range(1, 21))))
def test_a_sequence_in_pieces_is_the_sequence(cuts: set[int]) -> None:
    mixer = built()
    x = torch.randn(2, 21, WIDTH, generator=torch.Generator().manual_seed(1))
    state, pieces = None, []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 21], strict=True):
        y, state = mixer.mix(x[:, start:stop], state=state)
        pieces.append(y)
    expected, last = mixer.mix(x)
    torch.testing.assert_close(
        torch.cat(pieces, 1), expected, rtol=1e-5, atol=1e-5
    )  # of a scale of 1.4
    torch.testing.assert_close(state.convolution, last.convolution)
    torch.testing.assert_close(state.memory, last.memory, rtol=1e-5, atol=1e-5)  # of a scale of 1.4
    torch.testing.assert_close(expected, mixer(x)[0])


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_packed_documents_are_as_if_alone(lengths: list[int]) -> None:
    mixer = built()
    numbers = torch.arange(len(lengths)) % 2
    documents = torch.repeat_interleave(numbers, torch.tensor(lengths)).expand(2, -1)
    x = torch.randn(2, sum(lengths), WIDTH, generator=torch.Generator().manual_seed(2))
    alone = [mixer.mix(piece) for piece in x.split(lengths, 1)]
    y, state = mixer.mix(x, documents=documents)
    torch.testing.assert_close(
        y, torch.cat([y for y, _ in alone], 1), rtol=1e-5, atol=1e-5
    )  # of a scale of 1.4
    torch.testing.assert_close(state.convolution, alone[-1][1].convolution)
    torch.testing.assert_close(
        state.memory, alone[-1][1].memory, rtol=1e-5, atol=1e-5
    )  # of a scale of 1.4


def test_pieces_may_hold_borders_of_documents() -> None:
    mixer = built()
    documents = torch.tensor([[0] * 5 + [1] * 9 + [0] * 2 + [1] * 5] * 2)
    x = torch.randn(2, 21, WIDTH, generator=torch.Generator().manual_seed(2))
    state, pieces = None, []
    for start, stop in ((0, 3), (3, 6), (6, 17), (17, 21)):
        y, state = mixer.mix(x[:, start:stop], documents=documents[:, start:stop], state=state)
        pieces.append(y)
    expected = mixer(x, documents=documents)[0]
    torch.testing.assert_close(
        torch.cat(pieces, 1), expected, rtol=1e-5, atol=1e-5
    )  # of a scale of 1.4


def test_half_precision_is_close_and_keeps_its_format() -> None:
    mixer = built()
    x = torch.randn(2, 21, WIDTH, generator=torch.Generator().manual_seed(1))
    expected = mixer(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        mixed, state = mixer.mix(x.bfloat16())
    assert (mixed.dtype, state.memory.dtype) == (torch.bfloat16, torch.float32)
    half = mixer.bfloat16()(x.bfloat16())[0]
    assert half.dtype == torch.bfloat16
    for y in (mixed, half):
        assert (y.float() - expected).norm() < 0.02 * expected.norm()


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="key_heads \\(3\\) must divide value_heads \\(4\\)"):
        GatedDelta(key_heads=3, value_heads=4, key_width=8, value_width=8)
    with pytest.raises(ValueError, match="must be positive"):
        GatedDelta(key_heads=2, value_heads=4, key_width=8, value_width=0)


def test_both_implementations_agree() -> None:
    mixer = built()
    x = torch.randn(2, 21, WIDTH, generator=torch.Generator().manual_seed(1))
    chunks, recurrence = (mixer(x, implementation=i)[0] for i in ("sdpa", "reference"))
    torch.testing.assert_close(chunks, recurrence, rtol=1e-5, atol=1e-5)  # of a scale of 1.4
