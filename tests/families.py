"""Small decoders of every kind, for tests of what all of them must do."""

import dataclasses

import torch

from groundup.layers import (
    GLU,
    ALiBi,
    GatedDelta,
    GroupedQuery,
    Latent,
    LayerNorm,
    Mamba2,
    NoPE,
    RelativeBias,
    RoPE,
)
from groundup.models import Decoder, DecoderModel

CONFIG = Decoder(
    vocab_size=61,
    context=48,
    width=32,
    depth=3,
    attention=GroupedQuery(heads=4, kv_heads=2, head_width=8),
    mlp=GLU(hidden=40),
)
LATENT = Latent(heads=4, rank=12, query_rank=10, key_width=6, rope_width=4, value_width=8)
PLAIN = CONFIG.attention
MAMBA = Mamba2(heads=4, head_width=16, state=6, groups=2, chunk=8)
DELTA = GatedDelta(key_heads=2, value_heads=4, key_width=6, value_width=8, chunk=8)
KINDS = {
    "grouped": CONFIG,
    "shifted": dataclasses.replace(CONFIG, attention=dataclasses.replace(PLAIN, shift=True)),
    "shifted and borrowing": dataclasses.replace(
        CONFIG,
        attention=(
            dataclasses.replace(PLAIN, shift=True),
            dataclasses.replace(PLAIN, shift=True, borrow=True),
        ),
    ),
    "windowed": dataclasses.replace(
        CONFIG, attention=(dataclasses.replace(PLAIN, window=5), PLAIN)
    ),
    "capped with sinks": dataclasses.replace(
        CONFIG, attention=dataclasses.replace(PLAIN, softcap=3.0, sinks=True)
    ),
    "borrowing": dataclasses.replace(
        CONFIG, attention=(PLAIN, dataclasses.replace(PLAIN, borrow=True))
    ),
    "latent": dataclasses.replace(CONFIG, attention=LATENT, position=RoPE(interleaved=True)),
    "latent, queries straight": dataclasses.replace(
        CONFIG, attention=dataclasses.replace(LATENT, query_rank=None)
    ),
    "alibi": dataclasses.replace(CONFIG, position=ALiBi()),
    "relative": dataclasses.replace(CONFIG, position=RelativeBias(buckets=8, distance=20)),
    "no positions": dataclasses.replace(CONFIG, position=NoPE(), norm=LayerNorm()),
    "mamba": dataclasses.replace(CONFIG, attention=MAMBA, mlp=None, position=NoPE()),
    "delta": dataclasses.replace(CONFIG, attention=DELTA, position=NoPE()),
    "hybrid": dataclasses.replace(CONFIG, attention=(MAMBA, PLAIN), mlp=(None, GLU(hidden=40))),
    "positions in turn": dataclasses.replace(CONFIG, position=(RoPE(), NoPE(), RoPE(base=100.0))),
}


def scrambled(config: Decoder) -> DecoderModel:
    model = config.build(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model
