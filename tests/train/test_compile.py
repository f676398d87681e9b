"""What is left to PyTorch's compiler."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from groundup.core.device import Device
from groundup.kernels import cpu
from groundup.layers import (
    GLU,
    LSTM,
    MLP,
    ALiBi,
    GroupedQuery,
    LayerNorm,
    Learned,
    NoPE,
    RMSNorm,
    RoPE,
)
from groundup.models import Decoder, RecurrentLM
from groundup.train.compile import can_compile, core_fuses, worth_compiling

ATTENTION = GroupedQuery(heads=4, kv_heads=2, head_width=16)
CONFIG = Decoder(
    vocab_size=50, context=32, width=64, depth=2, attention=ATTENTION, mlp=GLU(hidden=96)
)
CPU = Device(torch.device("cpu"), torch.bfloat16)


@pytest.mark.skipif(not cpu.HAS_LOOPS, reason="the compiled core has no loops here")
@pytest.mark.parametrize(
    ("changes", "fused"),
    [
        ({}, True),
        ({"dropout": 0.1}, True),
        ({"position": NoPE()}, True),
        ({"attention": replace(ATTENTION, query_key_norm=None, shift=True)}, True),
        ({"attention": (ATTENTION, replace(ATTENTION, softcap=20.0))}, False),
        ({"attention": replace(ATTENTION, sinks=True)}, False),
        ({"attention": replace(ATTENTION, query_key_norm=LayerNorm())}, False),
        ({"attention": replace(ATTENTION, query_key_norm=RMSNorm(bias=True))}, False),
        ({"attention": replace(ATTENTION, head_width=1026)}, False),
        ({"mlp": MLP(hidden=96)}, False),
        ({"mlp": GLU(hidden=96, activation="gelu")}, False),
        ({"norm": LayerNorm()}, False),
        ({"norm": RMSNorm(offset=True)}, True),
        ({"position": RoPE(interleaved=True)}, False),
        ({"position": ALiBi()}, False),
        ({"position": Learned()}, True),
        ({"logit_softcap": 30.0}, False),
    ],
)
def test_what_the_core_fuses_is_not_compiled(changes: dict[str, Any], fused: bool) -> None:
    config = replace(CONFIG, **changes)
    assert core_fuses(config, CPU) == fused
    assert worth_compiling(config, CPU) == (can_compile(CPU.device) and not fused)


def test_a_gpu_and_other_networks_are_the_compilers() -> None:
    assert not core_fuses(CONFIG, Device(torch.device("cuda"), torch.bfloat16))
    assert not core_fuses(CONFIG, replace(CPU, compute_dtype=torch.float16))
    assert not core_fuses(
        RecurrentLM(vocab_size=50, context=32, width=64, depth=1, cell=LSTM()), CPU
    )
