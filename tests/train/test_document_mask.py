"""Packed documents that are kept apart: each is read as if it were alone."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.core.device import Device
from groundup.data.batches import Batches
from groundup.data.shards import TokenShards, write_shards
from groundup.data.windows import Windows
from groundup.layers import GLU, GRU, LSTM, GatedDelta, GroupedQuery, Mamba2, NoPE
from groundup.models import Decoder, DecoderModel, LanguageModel, RecurrentLM, RecurrentModel
from groundup.tokenizers import BPE
from groundup.train import bits_per_byte
from groundup.train.compile import compile_model

TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])
CPU = Device(torch.device("cpu"), torch.float32)
END = 256
ATTENTION = Decoder(
    vocab_size=257,
    context=32,
    width=32,
    depth=2,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=16, shift=True),
    mlp=GLU(hidden=64),
)
MODELS: dict[str, Decoder | RecurrentLM] = {
    "attention": ATTENTION,
    "mamba": dataclasses.replace(
        ATTENTION, attention=Mamba2(heads=4, head_width=16, state=16), mlp=None, position=NoPE()
    ),
    "delta": dataclasses.replace(
        ATTENTION,
        attention=GatedDelta(key_heads=1, value_heads=2, key_width=16, value_width=16),
        position=NoPE(),
    ),
    "lstm": RecurrentLM(vocab_size=257, context=32, width=24, depth=2, cell=LSTM()),
    "gru": RecurrentLM(vocab_size=257, context=32, width=24, depth=2, cell=GRU()),
}


@pytest.fixture
def shards(tmp_path: Path) -> TokenShards:
    texts = ["x" * (i * 7 % 20) + f" number {i}" for i in range(40)]
    write_shards(tmp_path, texts, TOKENIZER, end_of_text=END, shard_tokens=200)
    return TokenShards(tmp_path, TOKENIZER.fingerprint)


def awake(config: Decoder | RecurrentLM) -> LanguageModel:
    """A model whose every part has a say: fresh ones begin as the identity."""
    model = config.build(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    assert isinstance(model, DecoderModel | RecurrentModel)
    return model


def losses_alone(model: LanguageModel, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of one row [T], cut before every end of text, each part read by itself."""
    borders = [0, *(i for i in range(1, len(tokens)) if tokens[i] == END), len(tokens)]
    parts = [slice(a, b) for a, b in itertools.pairwise(borders)]
    return torch.cat([model.losses(tokens[None, p], targets[None, p])[0] for p in parts])


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["blockwise", "sdpa", "reference"])
@pytest.mark.parametrize("name", MODELS)
def test_a_packed_batch_costs_what_its_documents_cost_alone(
    shards: TokenShards, name: str, implementation: str
) -> None:
    model = awake(MODELS[name])
    samples = Windows(shards=shards, context=32, seed=0)
    batch = Batches(samples=samples, batch=8, documents=True).read(0)
    tokens, targets, documents = map(torch.from_numpy, batch)
    packed = model.losses(tokens, targets, documents=documents, implementation=implementation)
    alone = [losses_alone(model, *row) for row in zip(tokens, targets, strict=True)]
    torch.testing.assert_close(packed, torch.stack(alone), rtol=1e-4, atol=1e-4)
    unmasked = model.losses(tokens, targets, implementation=implementation)
    assert (packed - unmasked).abs().max() > 0.01  # there was something to hide


@torch.no_grad()
def test_bits_per_byte_with_the_mask_are_those_of_each_document_alone(
    shards: TokenShards,
) -> None:
    assert np.diff(shards.document_ends).max() <= 32  # each is whole in its last token's window
    model = awake(ATTENTION)
    nats, start = 0.0, 0
    for end in shards.document_ends.tolist():
        document = [END, *shards.read(start, end - start).tolist()]
        nats -= float(model.logprobs(torch.tensor([document])).sum())
        start = end
    expected = nats / math.log(2) / int(shards.document_bytes.sum())
    got = bits_per_byte(model, shards, CPU, end_of_text=END, stride=1, document_mask=True)
    assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch warns of itself while it compiles
def test_compiled_blocks_take_documents(shards: TokenShards) -> None:
    samples = Windows(shards=shards, context=32, seed=0)
    batch = Batches(samples=samples, batch=8, documents=True).read(0)
    tokens, targets, documents = map(torch.from_numpy, batch)
    gradients = []
    for compiled in (False, True):
        model = awake(ATTENTION)
        if compiled:
            compile_model(model)
        model.losses(
            tokens, targets, documents=documents, implementation="blockwise"
        ).mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for eager, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-3, atol=1e-5)
