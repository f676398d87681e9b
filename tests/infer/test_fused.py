"""The parts of a model as they serve: the same numbers as the layers whose place they take."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.families import CONFIG, KINDS, scrambled

from groundup.core.device import Device
from groundup.infer import Engine, Sampling, weights
from groundup.infer.fused import ServingAttention, ServingBlock, ServingMLP, ServingNorm, serve
from groundup.infer.passes import Pass
from groundup.infer.weights import ServingLinear, Weights
from groundup.kernels import cpu
from groundup.layers import GLU, GroupedQuery, RMSNorm
from groundup.models import Decoder, DecoderModel

FLOAT32 = Device(torch.device("cpu"), torch.float32)
PLAIN = GroupedQuery(heads=4, kv_heads=2, head_width=8)
SHAPES = {
    "normed heads": CONFIG,
    "plain heads": replace(CONFIG, attention=replace(PLAIN, query_key_norm=None)),
    "biased": replace(CONFIG, attention=replace(PLAIN, bias=True, output_bias=True)),
    "offset norms": replace(
        CONFIG,
        norm=RMSNorm(offset=True),
        attention=replace(PLAIN, query_key_norm=RMSNorm(offset=True)),
    ),
    "other gate": replace(CONFIG, mlp=GLU(hidden=40, activation="gelu", bias=True)),
    "tied": replace(CONFIG, tied=True, logit_softcap=4.0),
    "shifted": KINDS["shifted"],
    "windowed": KINDS["windowed"],
    "capped with sinks": KINDS["capped with sinks"],
    "norms on both sides": replace(CONFIG, placement="sandwich"),
    "norms behind": replace(CONFIG, placement="after"),
    "no norms": replace(CONFIG, norm=None),
    "nothing but matrices": replace(
        CONFIG, tied=True, norm=None, attention=replace(PLAIN, query_key_norm=None)
    ),
    "no mlp": replace(CONFIG, mlp=(None, GLU(hidden=40))),
    "shifted in turn": replace(CONFIG, attention=(replace(PLAIN, shift=True), PLAIN)),
}


@pytest.mark.parametrize("at_once", [2048, 7])
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_likelihoods_are_the_model_s(shape: str, at_once: int) -> None:
    """Against the model as it was trained, in prompts short and long, read at once and in parts."""
    model = scrambled(SHAPES[shape])
    generator = torch.Generator().manual_seed(3)
    texts = [torch.randint(61, (n,), generator=generator).tolist() for n in (3, 40, 47)]
    engine = Engine(model, FLOAT32, stop=[], at_once=at_once)
    found = engine.loglikelihood([(text[:1], text[1:]) for text in texts])
    for text, likelihood in zip(texts, found, strict=True):
        expected = float(model.logprobs(torch.tensor([text])).sum())
        assert likelihood.logprob == pytest.approx(expected, rel=1e-6, abs=2e-3)


def test_plain_decoders_are_served_by_joined_matrices() -> None:
    model = scrambled(CONFIG)
    serve(model, "compute")
    serving = model.blocks[0]
    assert isinstance(serving, ServingBlock)
    block = serving.block
    assert isinstance(block.attention, ServingAttention)
    assert isinstance(block.mlp, ServingMLP)
    assert isinstance(block.mlp_norm, ServingNorm)
    assert isinstance(model.readout.head, ServingLinear)
    projected = block.attention.projection(torch.ones(1, 32))
    assert projected.shape == (1, 4 * 8 + 2 * 2 * 8)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """An element for each block that goes through the core in one call."""
    calls: list[None] = []
    through = cpu.FewTokensBlock.__call__

    def counting(block: cpu.FewTokensBlock, *arguments: Any) -> Any:
        calls.append(None)
        return through(block, *arguments)

    monkeypatch.setattr(cpu.FewTokensBlock, "__call__", counting)
    return calls


ONE_CALL = [name for name in SHAPES if name != "other gate"]


@pytest.mark.skipif(not cpu.HAS_LOOPS, reason="the compiled core has no loops here")
@pytest.mark.parametrize("weights", ["compute", "int8"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_block_in_one_call_gives_the_same_bits(
    shape: str, dtype: torch.dtype, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its operations one by one, which have oracles of their own."""
    device = Device(torch.device("cpu"), dtype)
    engine = Engine(scrambled(SHAPES[shape]), device, stop=[], weights=weights)
    calls = counted(monkeypatch)
    prompts = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]
    asked = Sampling(temperature=0, max_tokens=20, logprobs=2)
    found = engine.generate(prompts, asked)
    assert len(calls) == (0 if shape not in ONE_CALL else 20 * CONFIG.depth)
    monkeypatch.setattr(Pass, "together", False)
    again = Engine(scrambled(SHAPES[shape]), device, stop=[], weights=weights)
    calls.clear()
    assert again.generate(prompts, asked) == found
    assert not calls


@pytest.mark.skipif(not cpu.HAS_LOOPS, reason="the compiled core has no loops here")
@pytest.mark.parametrize(("texts", "length", "passes"), [(1, 32, 5), (1, 33, 4), (70, 1, 5)])
def test_which_passes_are_of_few_tokens(
    texts: int, length: int, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 32 of each sequence, however many these are; a longer prompt is a product of its
    own."""
    engine = Engine(scrambled(CONFIG), FLOAT32, stop=[])
    calls = counted(monkeypatch)
    prompts = [[1 + (i + j) % 60 for j in range(length)] for i in range(texts)]
    found = engine.generate(prompts, Sampling(temperature=0, max_tokens=5))
    assert len(calls) == passes * CONFIG.depth
    monkeypatch.setattr(Pass, "together", False)
    again = Engine(scrambled(CONFIG), FLOAT32, stop=[])
    assert again.generate(prompts, Sampling(temperature=0, max_tokens=5)) == found


@pytest.mark.skipif(not cpu.HAS_LOOPS, reason="the compiled core has no loops here")
@pytest.mark.parametrize("how", ["compute", "int8"])
def test_tiles_multiply_the_same_weights(how: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a processor has them, long prompts are PyTorch's."""
    narrow = Device(torch.device("cpu"), torch.bfloat16)
    engine = Engine(scrambled(replace(CONFIG, context=400)), narrow, stop=[], weights=how)
    text = torch.randint(61, (390,), generator=torch.Generator().manual_seed(3)).tolist()
    found = engine.loglikelihood([(text[:1], text[1:])])[0].logprob
    monkeypatch.setattr(weights, "_HAS_TILES", True)
    again = engine.loglikelihood([(text[:2], text[2:])])[0].logprob
    assert again == pytest.approx(found, rel=0.02)
    dense = engine.model.readout.head
    assert isinstance(dense, ServingLinear)
    assert dense.in_core is not None
    identity = torch.eye(32, dtype=torch.bfloat16)
    assert torch.equal(dense.in_core.dense().T, dense.in_core(identity))


def with_rounded_matrices(model: DecoderModel) -> DecoderModel:
    """What eight bits leave of the matrices that tokens are multiplied by, computed anew here."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            weight = module.weight.data
            scales = weight.abs().amax(1, keepdim=True) / 127
            module.weight.data = (weight / scales).round() * scales
    return model


@pytest.mark.parametrize("rows", [1, 90])
@torch.no_grad()
def test_eight_bits_are_the_rounded_weights(rows: int) -> None:
    """In passes over few tokens and over many."""
    config = replace(CONFIG, context=128)
    exact = with_rounded_matrices(scrambled(config))
    engine = Engine(scrambled(config), FLOAT32, stop=[], weights="int8", at_once=rows)
    text = torch.randint(61, (100,), generator=torch.Generator().manual_seed(3)).tolist()
    found = engine.loglikelihood([(text[:1], text[1:])])[0]
    assert found.logprob == pytest.approx(
        float(exact.logprobs(torch.tensor([text])).sum()), abs=1e-2
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_serves_in_eight_bits(kind: str) -> None:
    """Near what it writes with all bits: the likelihood of its own text."""
    model = scrambled(KINDS[kind])
    text = Engine(model, FLOAT32, stop=[]).generate([[1, 2]], Sampling(max_tokens=20, seed=1))[0]
    pair = ([1, 2], text.tokens)
    full = Engine(model, FLOAT32, stop=[]).loglikelihood([pair])[0]
    short = Engine(model, FLOAT32, stop=[], weights="int8").loglikelihood([pair])[0]
    assert short.logprob != full.logprob
    assert short.logprob == pytest.approx(full.logprob, rel=0.1)


def test_bfloat16_is_near_float32() -> None:
    config = Decoder(
        vocab_size=61, context=48, width=64, depth=2, attention=PLAIN, mlp=GLU(hidden=96)
    )
    model = scrambled(config)
    text = torch.randint(61, (40,), generator=torch.Generator().manual_seed(3)).tolist()
    narrow = Device(torch.device("cpu"), torch.bfloat16)
    full, short = (
        Engine(model, device, stop=[]).loglikelihood([(text[:1], text[1:])])[0].logprob
        for device in (FLOAT32, narrow)
    )
    assert short == pytest.approx(full, rel=0.02)
