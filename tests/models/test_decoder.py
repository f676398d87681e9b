"""The decoder against Hugging Face's Qwen3 with the same weights, and its FLOPs against torch's."""

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import ConfigError
from groundup.layers import (
    GLU,
    MLP,
    ALiBi,
    GatedDelta,
    GroupedQuery,
    Latent,
    LayerNorm,
    Learned,
    Mamba2,
    MoE,
    NoPE,
    RelativeBias,
    RoPE,
    Sinusoidal,
)
from groundup.models import Decoder, DecoderModel, forward_flops, training_flops
from groundup.models.flops import matrix_parameters

CONFIG = Decoder(
    vocab_size=97,
    context=32,
    width=48,
    depth=3,
    attention=GroupedQuery(heads=6, kv_heads=2, head_width=16),
    mlp=GLU(hidden=80),
)


def scrambled(config: Decoder) -> DecoderModel:
    """A model whose every weight matters: the initialisation has zeros."""
    model = config.build(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def as_qwen3(model: DecoderModel):
    """Qwen3 is this arrangement: RMSNorm, rotary, grouped queries, query-key norm, GLU."""
    transformers = pytest.importorskip("transformers")
    c, a = model.config, model.config.attention
    peer = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=c.vocab_size,
            hidden_size=c.width,
            num_hidden_layers=c.depth,
            num_attention_heads=a.heads,
            num_key_value_heads=a.kv_heads,
            head_dim=a.head_width,
            intermediate_size=c.mlp.hidden,
            rms_norm_eps=c.norm.eps,
            max_position_embeddings=c.context,
            rope_theta=c.position.base,
            tie_word_embeddings=c.tied,
            attn_implementation="eager",
        )
    ).eval()
    names = {
        "embedding": "model.embed_tokens",
        "readout.norm": "model.norm",
        "readout.head": "lm_head",
        "blocks": "model.layers",
        "attention_norm": "input_layernorm",
        "mlp_norm": "post_attention_layernorm",
        "attention.query_norm": "self_attn.q_norm",
        "attention.key_norm": "self_attn.k_norm",
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "mlp.gate": "mlp.gate_proj",
        "mlp.up": "mlp.up_proj",
        "mlp.down": "mlp.down_proj",
    }
    state = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(f"{ours}.", f"{theirs}.")
        state[name] = tensor
    peer.load_state_dict(state)
    return peer


@pytest.mark.parametrize("tied", [False, True])
def test_logits_and_gradients_equal_transformers(tied: bool) -> None:
    model = scrambled(dataclasses.replace(CONFIG, tied=tied))
    peer = as_qwen3(model)
    tokens = torch.randint(97, (2, 21))
    ours, theirs = model(tokens), peer(tokens).logits
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    ours.square().mean().backward()
    theirs.square().mean().backward()
    torch.testing.assert_close(
        model.embedding.weight.grad, peer.model.embed_tokens.weight.grad, rtol=1e-4, atol=1e-6
    )


def test_a_head_that_reads_the_embedding_is_the_sum_of_both() -> None:
    model = scrambled(dataclasses.replace(CONFIG, embedding_in_head=True))
    parts = dict(model.named_parameters())
    E, W, c = (
        parts[name].detach().clone().requires_grad_()
        for name in ("embedding.weight", "readout.head.weight", "readout.embedding_gain")
    )
    assert c.abs().min() > 0
    without = DecoderModel(CONFIG)
    without.load_state_dict(model.state_dict(), strict=False)
    peer = as_qwen3(without)
    tokens = torch.randint(97, (2, 21))
    hidden = peer.model(inputs_embeds=torch.nn.functional.embedding(tokens, E)).last_hidden_state
    theirs = torch.einsum("btd,vd->btv", hidden, W) + torch.einsum("btd,d,vd->btv", hidden, c, E)
    ours = model(tokens)
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    ours.square().mean().backward()
    theirs.square().mean().backward()
    for name, expected in (
        ("embedding.weight", E),
        ("readout.head.weight", W),
        ("readout.embedding_gain", c),
    ):
        mine, theirs = parts[name].grad, expected.grad
        assert mine is not None
        assert theirs is not None
        assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max(), name
    plain = model.with_plain_head()
    assert plain.config == CONFIG
    assert plain(tokens).equal(ours)
    assert plain.parameter_count() == model.parameter_count() - CONFIG.width


def test_a_head_that_reads_the_embedding_begins_as_one_that_does_not() -> None:
    tokens = torch.randint(97, (2, 21))
    reading = dataclasses.replace(CONFIG, embedding_in_head=True).build(3)
    assert reading(tokens).equal(CONFIG.build(3)(tokens))


def test_losses_are_the_cross_entropy_of_the_logits() -> None:
    model = scrambled(CONFIG)
    tokens, targets = torch.randint(97, (2, 2, 9))
    log_p = model(tokens).double().log_softmax(-1)
    expected = -log_p.gather(-1, targets[..., None]).squeeze(-1)
    for implementation in ("sdpa", "blockwise"):
        losses = model.losses(tokens, targets, implementation=implementation)
        torch.testing.assert_close(losses.double(), expected, atol=1e-4, rtol=1e-5)


def test_later_tokens_change_nothing_before_them() -> None:
    model = scrambled(CONFIG)
    tokens = torch.randint(97, (1, 12))
    changed = tokens.clone()
    changed[0, 8:] = (changed[0, 8:] + 1) % 97
    torch.testing.assert_close(model(tokens)[:, :8], model(changed)[:, :8])


def test_a_fresh_model_predicts_about_uniformly() -> None:
    losses = CONFIG.build(0).losses(*torch.randint(97, (2, 4, 32)))
    assert losses.mean().item() == pytest.approx(torch.tensor(97.0).log().item(), abs=0.05)


def test_the_same_seed_gives_the_same_weights() -> None:
    first, same, other = (CONFIG.build(seed).embedding.weight for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


EXPERTS = MoE(experts=6, active=2, hidden=24, shared=16)
FLOPS = {
    "llama": CONFIG,
    "gpt2": dataclasses.replace(
        CONFIG, mlp=MLP(hidden=80, bias=True), norm=LayerNorm(), position=Learned(), tied=True
    ),
    "local and global": dataclasses.replace(
        CONFIG,
        attention=(dataclasses.replace(CONFIG.attention, window=5, softcap=9.0), CONFIG.attention),
        placement="sandwich",
    ),
    "borrowing": dataclasses.replace(
        CONFIG, attention=(CONFIG.attention, dataclasses.replace(CONFIG.attention, borrow=True))
    ),
    "a head that reads the embedding": dataclasses.replace(CONFIG, embedding_in_head=True),
    "deepseek": dataclasses.replace(
        CONFIG,
        attention=Latent(
            heads=4, rank=20, query_rank=28, key_width=10, rope_width=6, value_width=14
        ),
        mlp=(GLU(hidden=80), EXPERTS, EXPERTS),
    ),
    "mamba": dataclasses.replace(
        CONFIG, attention=Mamba2(heads=6, head_width=16, state=8, groups=2, chunk=8), mlp=None
    ),
    "delta": dataclasses.replace(
        CONFIG,
        attention=GatedDelta(key_heads=2, value_heads=6, key_width=10, value_width=14, chunk=8),
    ),
}


@pytest.mark.parametrize("kind", FLOPS)
@pytest.mark.parametrize("tokens", [1, 13, 16, 32])
def test_flops_equal_torch_s_counter(kind: str, tokens: int) -> None:
    """With attention as it is defined, over the whole square. What a mixture's experts compute in
    a backward pass is what they compute in two forward passes."""
    config = FLOPS[kind]
    model = config.build(0)
    batch = torch.zeros(1, tokens, dtype=torch.int64)
    implementation = "reference" if kind not in ("mamba", "delta") else "sdpa"
    with FlopCounterMode(display=False) as counter:
        losses = model.losses(batch, batch, implementation=implementation)
    assert counter.get_total_flops() == forward_flops(config, tokens, causal=False)
    assert training_flops(config, tokens) == 3 * forward_flops(config, tokens)
    if kind == "delta" or (kind == "mamba" and tokens <= 8):
        return  # a state that nothing reads has no gradient: a chunk's worth less
    with counter:
        losses.sum().backward()
    assert counter.get_total_flops() == 2 * forward_flops(config, tokens, causal=False)


def test_the_causal_half_is_what_it_says() -> None:
    square = forward_flops(CONFIG, 32, causal=False) - 2 * matrix_parameters(CONFIG) * 32
    half = forward_flops(CONFIG, 32) - 2 * matrix_parameters(CONFIG) * 32
    assert half * 2 * 32 == square * 33


def test_matrix_parameters_are_those_of_the_linear_layers() -> None:
    model = CONFIG.build(0)
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear))
    assert matrix_parameters(CONFIG) == linear


GROUPED = CONFIG.attention
BORROW = dataclasses.replace(GROUPED, borrow=True)
MAMBA = Mamba2(heads=6, head_width=16, state=8)
LATENT = Latent(heads=4, rank=20, key_width=10, rope_width=6, value_width=14)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"attention": dataclasses.replace(GROUPED, head_width=15)}, "even head width, not 15"),
        ({"attention": dataclasses.replace(LATENT, rope_width=5)}, "even head width, not 5"),
        ({"position": RoPE(share=0.2)}, "even head width, not 3 of 16"),
        ({"position": RoPE(share=1.5)}, "even head width, not 24 of 16"),
        ({"tied": True, "embedding_in_head": True}, "embedding_in_head adds to a matrix"),
        ({"position": Sinusoidal(), "width": 47}, "even width, not 47"),
        ({"attention": BORROW}, "the first block has no layer below"),
        ({"attention": (MAMBA, BORROW)}, "block 1 borrows keys and values, and Mamba2 below"),
        ({"attention": (GROUPED, LATENT, BORROW)}, "block 2 borrows keys and values, and Latent"),
        (
            {"attention": (GROUPED, dataclasses.replace(BORROW, kv_heads=3))},
            "needs kv_heads and head_width of the block below it: 2 and 16",
        ),
        (
            {"attention": (GROUPED, dataclasses.replace(BORROW, head_width=8))},
            "needs kv_heads and head_width of the block below it: 2 and 16",
        ),
        (
            {"attention": (GROUPED, BORROW), "position": (RoPE(), NoPE())},
            "needs the position of the block below it",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(
    change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(CONFIG, **change)
    data = to_dict(CONFIG) | {name: to_dict(value) for name, value in change.items()}
    with pytest.raises(ConfigError, match=sentence):
        from_dict(Decoder, data)


SOME_ATTENTION = st.one_of(
    st.builds(
        GroupedQuery,
        heads=st.just(2),
        kv_heads=st.sampled_from((1, 2)),
        head_width=st.integers(1, 6),
        borrow=st.booleans(),
        shift=st.booleans(),
        sinks=st.booleans(),
        window=st.sampled_from((None, 2)),
    ),
    st.builds(
        Latent,
        heads=st.just(2),
        rank=st.just(3),
        query_rank=st.sampled_from((None, 2)),
        key_width=st.just(3),
        rope_width=st.integers(1, 4),
        value_width=st.just(3),
    ),
    st.just(Mamba2(heads=2, head_width=4, state=3)),
    st.just(GatedDelta(key_heads=1, value_heads=2, key_width=4, value_width=3)),
)
SOME_POSITION = st.one_of(
    st.builds(RoPE, share=st.sampled_from((0.3, 0.5, 1.0)), interleaved=st.booleans()),
    st.sampled_from((ALiBi(), RelativeBias(buckets=4, distance=8), NoPE())),
)


@given(
    attention=st.lists(SOME_ATTENTION, min_size=1, max_size=3).map(tuple),
    position=st.one_of(
        st.sampled_from((Learned(), Sinusoidal())),
        st.lists(SOME_POSITION, min_size=1, max_size=2).map(tuple),
    ),
    width=st.integers(1, 6),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
@torch.no_grad()
def test_what_is_not_refused_can_be_built_and_run(
    attention: Any, position: Any, width: int
) -> None:
    try:
        config = dataclasses.replace(
            CONFIG, width=width, attention=attention, position=position, mlp=GLU(hidden=3)
        )
    except ValueError:
        reject()
    tokens = torch.zeros(2, 5, dtype=torch.int64)
    assert config.build(0)(tokens).isfinite().all()


@pytest.mark.parametrize("change", [{"depth": 0}, {"width": -1}, {"vocab_size": 0}])
def test_sizes_must_be_positive(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        dataclasses.replace(CONFIG, **change)
