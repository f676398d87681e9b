"""Bits per byte against the definition, token by token."""

import math
from pathlib import Path

import pytest
import torch

from groundup.core.device import Device
from groundup.data.shards import TokenShards, write_shards
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.tokenizers import BPE
from groundup.train import bits_per_byte

TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])
TEXTS = ["héllo world", "a", "the quick brown fox jumps over it"]
MODEL = Decoder(
    vocab_size=257,
    context=16,
    width=32,
    depth=1,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=16),
    mlp=GLU(hidden=64),
)
CPU = Device(torch.device("cpu"), torch.float32)


@pytest.fixture
def shards(tmp_path: Path) -> TokenShards:
    write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=256)
    return TokenShards(tmp_path, TOKENIZER.fingerprint)


@pytest.mark.parametrize("stride", [1, 3, 8, 16])
@pytest.mark.parametrize("documents", [1, 2, None])
def test_every_token_is_counted_once_with_its_context(
    shards: TokenShards, stride: int, documents: int | None
) -> None:
    model = MODEL.build(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    texts = TEXTS[:documents]
    stream = [256] + [i for text in texts for i in [*text.encode(), 256]]
    nats = 0.0
    for first in range(0, len(stream) - 1, stride):
        last = min(first + stride, len(stream) - 1)
        start = max(0, last - 16)
        log_p = model(torch.tensor([stream[start:last]])).detach().log_softmax(-1)[0]
        for at in range(first, last):
            nats -= float(log_p[at - start, stream[at + 1]])
    expected = nats / math.log(2) / sum(len(text.encode()) for text in texts)
    got = bits_per_byte(model, shards, CPU, end_of_text=256, stride=stride, documents=documents)
    assert got == pytest.approx(expected, rel=1e-5)


def test_a_model_that_knows_nothing_needs_log2_of_the_vocabulary(shards: TokenShards) -> None:
    model = MODEL.build(0)
    torch.nn.init.zeros_(model.readout.head.weight)
    text_bytes = sum(len(text.encode()) for text in TEXTS)
    expected = math.log2(257) * (text_bytes + len(TEXTS)) / text_bytes
    assert bits_per_byte(model, shards, CPU, end_of_text=256) == pytest.approx(expected, rel=1e-6)
