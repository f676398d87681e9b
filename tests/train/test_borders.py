"""Borders between parts, by counting PyTorch's matrix products on either side of them."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from groundup.layers import (
    GLU,
    GRU,
    LSTM,
    MLP,
    GatedDelta,
    GroupedQuery,
    Latent,
    LayerNorm,
    Learned,
    Mamba2,
    MoE,
)
from groundup.models import Decoder, RecurrentLM, forward_flops
from groundup.models.parts import part_flops, parts_of
from groundup.train.borders import BETWEEN, at_borders

B, T = 2, 24
CONFIG = Decoder(
    vocab_size=50,
    context=T,
    width=32,
    depth=2,
    attention=GroupedQuery(heads=4, kv_heads=2, head_width=8),
    mlp=GLU(hidden=48),
)
LATENT = Latent(heads=4, rank=12, key_width=8, rope_width=4, value_width=8)
MAMBA = Mamba2(heads=4, head_width=8, state=8, chunk=8)
DELTA = GatedDelta(key_heads=2, value_heads=4, key_width=8, value_width=8, chunk=8)
KINDS: dict[str, Decoder | RecurrentLM] = {
    "llama": CONFIG,
    "after each branch": replace(
        CONFIG, norm=LayerNorm(), placement="post", position=Learned(), mlp=MLP(hidden=48)
    ),
    "sandwich, tied": replace(CONFIG, placement="sandwich", tied=True),
    "borrowed keys": replace(
        CONFIG,
        attention=(CONFIG.attention, GroupedQuery(heads=4, kv_heads=2, head_width=8, borrow=True)),
    ),
    "latent": replace(CONFIG, attention=LATENT),
    "experts": replace(
        CONFIG, mlp=(GLU(hidden=48), MoE(experts=4, active=2, hidden=16, shared=8, capacity=None))
    ),
    "hybrid": replace(CONFIG, depth=3, attention=(MAMBA, CONFIG.attention, DELTA)),
    "lstm": RecurrentLM(vocab_size=50, context=T, width=24, depth=2, cell=LSTM()),
    "gru": RecurrentLM(vocab_size=50, context=T, width=24, depth=2, cell=GRU()),
}


class Counted(TorchDispatchMode):
    """FLOPs of matrix products, as PyTorch counts them, by who was at work."""

    def __init__(self) -> None:
        super().__init__()
        self.flops: Counter[tuple[str, str]] = Counter()
        self.at_work = ("forward", BETWEEN)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if counter := flop_registry.get(func.overloadpacket):
            self.flops[self.at_work] += counter(*args, **(kwargs or {}), out_val=result)
        return result


def counted(config: Decoder | RecurrentLM) -> Counter[tuple[str, str]]:
    model, meter, direction = config.build(0), Counted(), "forward"
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)

    def moved(part: str) -> None:
        meter.at_work = (direction, part)

    tokens = torch.randint(config.vocab_size, (B, T))
    with meter, at_borders(model, moved):
        reports = []
        losses = model.losses(tokens, tokens, implementation="blockwise", reports=reports)
        direction = "backward"
        moved(BETWEEN)
        (losses.mean() + sum(report.loss for report in reports)).backward()
    return meter.flops


@pytest.fixture(scope="module", params=KINDS)
def measured(request: pytest.FixtureRequest) -> tuple[Decoder | RecurrentLM, Counter[Any]]:
    return KINDS[request.param], counted(KINDS[request.param])


Measured = tuple[Decoder | RecurrentLM, Counter[tuple[str, str]]]


def test_a_part_s_backward_pass_has_twice_the_products_of_its_forward_pass(
    measured: Measured,
) -> None:
    """Each product x · W has two in the backward pass, one for each factor, so a border that stood
    in the wrong place would show. Two parts differ by one product that can be named."""
    config, flops = measured
    for part in part_flops(config, T):
        expected = 2 * flops["forward", part]
        if part in ("LSTM", "GRU"):  # the first state is no variable
            expected = pytest.approx(expected * (1 - 1 / (4 * T)))
        if part == "GatedDelta":  # [8, 8] · [8, 8] of each chunk and head: a triangular system's
            expected += 2 * B * 4 * 3 * 8 * 8 * 8
        assert flops["backward", part] == expected
    assert not flops["forward", BETWEEN]
    assert not flops["backward", BETWEEN]


def test_the_flops_of_a_part_are_those_that_pytorch_counts_in_it(measured: Measured) -> None:
    config, flops = measured
    expected = {part: B * count for part, count in part_flops(config, T, causal=False).items()}
    assert {part: n for (way, part), n in flops.items() if way == "forward" and n} == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_sum_to_the_model(kind: str) -> None:
    config = KINDS[kind]
    assert sum(part_flops(config, T).values()) == forward_flops(config, T)
    weights = [p for _, module in parts_of(config.build(0)) for p in module.parameters()]
    distinct = {id(weight): weight.numel() for weight in weights}
    assert sum(distinct.values()) == config.build(0).parameter_count()
