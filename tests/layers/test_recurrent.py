"""Recurrent cells against torch's own modules with the same weights; alignment against its papers'
equations, one pair at a time."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from groundup.layers import GRU, LSTM, Bahdanau, Luong
from groundup.layers.recurrent import Bidirectional, Recurrent

CELLS = {"gru": (GRU, nn.GRU), "lstm": (LSTM, nn.LSTM)}


def copy_weights(ours: Recurrent, theirs: nn.Module, suffix: str = "l0") -> None:
    with torch.no_grad():
        for mine, name in ((ours.input, "ih"), (ours.recurrent, "hh")):
            mine.weight.copy_(getattr(theirs, f"weight_{name}_{suffix}"))
            if mine.bias is not None:
                mine.bias.copy_(getattr(theirs, f"bias_{name}_{suffix}"))


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_cells_are_torch_s(kind: str, bias: bool) -> None:
    """Outputs, last states and gradients."""
    config, module = CELLS[kind]
    theirs = module(5, 7, bias=bias, batch_first=True)
    ours = config(bias=bias).build(7, 5)
    copy_weights(ours, theirs)
    x = torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(0))
    y, state = ours(x)
    expected, last = theirs(x)
    torch.testing.assert_close(y, expected)
    hidden, memory = last if kind == "lstm" else (last, torch.zeros(1, 3, 7))
    torch.testing.assert_close(state.hidden, hidden[0])
    torch.testing.assert_close(state.memory, memory[0])
    y.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.recurrent.weight.grad, theirs.weight_hh_l0.grad)
    torch.testing.assert_close(ours.input.weight.grad, theirs.weight_ih_l0.grad)


@pytest.mark.parametrize("kind", CELLS)
def test_in_pieces_is_whole(kind: str) -> None:
    cell = CELLS[kind][0]().build(6)
    x = torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(0))
    whole, last = cell(x)
    first, state = cell(x[:, :4])
    state_then = state
    for t in range(4, 9):
        state_then = cell.step(x[:, t], state_then)
    rest, end = cell(x[:, 4:], state)
    torch.testing.assert_close(torch.cat((first, rest), dim=1), whole)
    torch.testing.assert_close(end, last)
    torch.testing.assert_close(state_then, last)


@pytest.mark.parametrize("kind", CELLS)
def test_both_directions_pass_over_padding_as_torch_s_packed_sequences_do(kind: str) -> None:
    config, module = CELLS[kind]
    theirs = module(5, 7, batch_first=True, bidirectional=True)
    ours = Bidirectional(config(), 7, 5)
    copy_weights(ours.forwards, theirs)
    copy_weights(ours.backwards, theirs, "l0_reverse")
    x = torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([11, 4, 7])
    real = torch.arange(11) < lengths[:, None]
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, last = theirs(packed)
    expected, _ = pad_packed_sequence(expected, batch_first=True)
    y, forward_state, backward_state = ours(x, real)
    torch.testing.assert_close(y[real], expected[real])
    hidden = last[0] if kind == "lstm" else last
    torch.testing.assert_close(forward_state.hidden, hidden[0])
    torch.testing.assert_close(backward_state.hidden, hidden[1])


def by_hand(config: Any, alignment: Any, query: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
    """The scores of one query and each of the memory's rows, in float64."""
    scores = []
    for h in memory.double():
        s = query.double()
        if isinstance(config, Luong) and config.score == "dot":
            scores.append(s @ h)
        elif isinstance(config, Luong) and config.score == "general":
            scores.append(s @ (alignment.score.memory.weight.double() @ h))
        else:
            both = torch.cat((s, h))
            w = torch.cat((alignment.score.query.weight, alignment.score.memory.weight), dim=1)
            scores.append(alignment.score.out.weight[0].double() @ torch.tanh(w.double() @ both))
    return torch.stack(scores)


@torch.no_grad()
@pytest.mark.parametrize(
    "config",
    [Bahdanau(width=9), Luong(score="dot"), Luong(score="general"), Luong(score="concat")],
    ids=str,
)
def test_alignment_is_the_papers(config: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    width = 6 if config == Luong(score="dot") else 8
    alignment = config.build(6, width)
    query = torch.randn(2, 6, generator=generator)
    memory = torch.randn(2, 5, width, generator=generator)
    real = torch.tensor([[True] * 5, [True, True, True, False, False]])
    read, weights = alignment(query, memory, alignment.keys(memory), real)
    for row, length in ((0, 5), (1, 3)):
        scores = by_hand(config, alignment, query[row], memory[row, :length])
        expected = [math.exp(s) for s in scores]
        share = torch.tensor(expected, dtype=torch.float64) / sum(expected)
        torch.testing.assert_close(weights[row, :length].double(), share, rtol=1e-5, atol=1e-6)
        assert weights[row, length:].sum() == 0
        torch.testing.assert_close(
            read[row].double(), share @ memory[row, :length].double(), rtol=1e-5, atol=1e-6
        )


def test_a_row_that_is_all_padding_reads_nothing() -> None:
    alignment = Luong().build(6, 8)
    memory = torch.randn(1, 5, 8)
    real = torch.zeros(1, 5, dtype=torch.bool)
    read, weights = alignment(torch.randn(1, 6), memory, alignment.keys(memory), real)
    assert (read == 0).all()
    assert (weights == 0).all()


def test_nothing_can_be_read() -> None:
    y, state = GRU().build(6)(torch.zeros(2, 0, 6))
    assert y.shape == (2, 0, 6)
    assert (state.hidden == 0).all()


def test_a_dot_needs_one_width() -> None:
    with pytest.raises(ValueError, match="as wide as the memory: 6 and 8 differ"):
        Luong(score="dot").build(6, 8)
