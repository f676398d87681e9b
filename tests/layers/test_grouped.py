"""Grouped products against a loop in float64, and what torch asks of an operation of one's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from groundup.layers import MoE
from groundup.layers.grouped import grouped_linear


def drawn(
    rows: int, groups: int, *, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, 6, generator=generator, dtype=dtype)
    weight = torch.randn(groups, 5, 6, generator=generator, dtype=dtype)
    return x.requires_grad_(), weight.requires_grad_()


def by_hand(x: torch.Tensor, weight: torch.Tensor, counts: list[int]) -> torch.Tensor:
    owner = [g for g, count in enumerate(counts) for _ in range(count)]
    rows = [weight[g] @ row for row, g in zip(x, owner, strict=False)]
    return torch.stack([*rows, *[x.new_zeros(len(weight[0]))] * (len(x) - len(rows))])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 3))
@settings(max_examples=50)
def test_values_and_gradients_are_the_loop_s(counts: list[int], beyond: int) -> None:
    """Empty runs, and rows that no layer serves, included."""
    if not (rows := sum(counts) + beyond):
        return
    x, weight = drawn(rows, len(counts), dtype=torch.float64)
    found = []
    for f in (
        lambda: grouped_linear(x, weight, torch.tensor(counts)),
        lambda: by_hand(x, weight, counts),
    ):
        y = f()
        (y.square().sum() + 0 * (x.sum() + weight.sum())).backward()
        found.append((y.detach(), x.grad, weight.grad))
        x.grad = weight.grad = None
    torch.testing.assert_close(found[0], found[1])


def test_torch_can_trace_and_differentiate_it() -> None:
    """`opcheck` compares real and traced shapes and strides, forwards and backwards."""
    x, weight = drawn(9, 3)
    counts = torch.tensor([4, 0, 3])
    torch.library.opcheck(torch.ops.groundup.grouped_linear, (x, weight, counts))
    dy = torch.randn(9, 5)
    torch.library.opcheck(
        torch.ops.groundup.grouped_linear, (dy, weight.detach().transpose(1, 2), counts)
    )
    torch.library.opcheck(torch.ops.groundup.grouped_outer, (dy, x.detach(), counts))


def test_flops_are_those_of_the_rows() -> None:
    x, weight = drawn(9, 3)
    with FlopCounterMode(display=False) as counter:
        y = grouped_linear(x, weight, torch.tensor([4, 2, 3]))
    assert counter.get_total_flops() == 2 * 9 * 6 * 5
    with FlopCounterMode(display=False) as counter:
        y.sum().backward()
    assert counter.get_total_flops() == 2 * 2 * 9 * 6 * 5


def test_autocast_computes_in_its_format() -> None:
    x, weight = drawn(9, 3)
    counts = torch.tensor([4, 2, 3])
    with torch.autocast("cpu", torch.bfloat16):
        y = grouped_linear(x, weight, counts)
    assert y.dtype == torch.bfloat16
    exact = grouped_linear(x.bfloat16().double(), weight.bfloat16().double(), counts)
    torch.testing.assert_close(y.double(), exact, rtol=2**-8, atol=1e-6)
    y.sum().backward()
    assert x.grad.dtype == weight.grad.dtype == torch.float32


@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
@pytest.mark.parametrize("capacity", [None, 0.75])
def test_a_mixture_is_compiled_in_one_graph(capacity: float | None) -> None:
    moe = MoE(experts=4, active=2, hidden=8, shared=8, capacity=capacity).build(12)
    moe.initialize(torch.Generator().manual_seed(0), gain=1.0)
    compiled = torch.compile(moe, fullgraph=True, backend="aot_eager")
    x = torch.randn(30, 12, generator=torch.Generator().manual_seed(1))
    learned = [x.requires_grad_(), *moe.parameters()]
    found = []
    for f in (moe, compiled):
        y, report = f(x)
        gradients = torch.autograd.grad(y.square().sum() + report.loss, learned)
        found.append((y, *report, *gradients))
    torch.testing.assert_close(found[1], found[0])
