"""Recurrent cells: GRU (Cho et al. 2014, section 2.3) and LSTM (Hochreiter and Schmidhuber 1997,
with the forget gate of Gers et al. 2000).

Gates are computed as torch's own modules do, in the same order, so that weights can be exchanged.
What depends on the input alone is one matrix product for all positions; only the rest is a loop.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from groundup.layers.documents import borders


@dataclass(frozen=True, kw_only=True)
class GRU:
    """Reset and update gates. bias: of both projections."""

    bias: bool = True
    gates = 3

    def build(self, width: int, input_width: int | None = None) -> "Recurrent":
        return Recurrent(self, width, input_width or width)


@dataclass(frozen=True, kw_only=True)
class LSTM:
    """Input, forget and output gates, and a memory that only they touch. bias: as in `GRU`."""

    bias: bool = True
    gates = 4

    def build(self, width: int, input_width: int | None = None) -> "Recurrent":
        return Recurrent(self, width, input_width or width)


class RecurrentState(NamedTuple):
    """hidden: what the cell shows, [B, D]. memory: the LSTM's own, [B, D]; the GRU's is empty."""

    hidden: Tensor
    memory: Tensor


class Recurrent(nn.Module):
    """A cell that reads a sequence, position by position."""

    def __init__(self, config: GRU | LSTM, width: int, input_width: int):
        super().__init__()
        self.config = config
        self.width = width
        self.input = nn.Linear(input_width, config.gates * width, bias=config.bias)
        self.recurrent = nn.Linear(width, config.gates * width, bias=config.bias)

    def forward(
        self,
        x: Tensor,
        state: RecurrentState | None = None,
        *,
        real: Tensor | None = None,
        documents: Tensor | None = None,
        backwards: bool = False,
    ) -> tuple[Tensor, RecurrentState]:
        """x: [B, T, D_in] → what the cell shows at each position, [B, T, D], and its last state.

        real: bool [B, T]; the state passes over a position that is not. documents: integers
        [B, T], read forwards; where the number changes, the state begins anew. backwards: from the
        last position to the first.
        """
        assert documents is None or not backwards, "a border is where a document begins"
        state = self.begin(x) if state is None else state
        crossed = None if documents is None else borders(documents)
        shown: list[Tensor] = []
        inputs = self.input(x).unbind(dim=1)  # indexing would cost a whole gradient a position
        order = range(x.shape[1])
        for t in reversed(order) if backwards else order:
            if crossed is not None:
                anew = crossed[:, t, None]
                state = RecurrentState(*(part.masked_fill(anew, 0.0) for part in state))
            new = self.cell(inputs[t], state)
            if real is not None:
                here = real[:, t, None]
                new = RecurrentState(
                    *(torch.where(here, a, b) for a, b in zip(new, state, strict=True))
                )
            state = new
            shown.append(state.hidden)
        if not shown:
            return x.new_empty(x.shape[0], 0, self.width), state
        return torch.stack(shown[::-1] if backwards else shown, dim=1), state

    def begin(self, x: Tensor) -> RecurrentState:
        """The state before anything is read: zeros, with the rows and the format of x."""
        zeros = x.new_zeros(x.shape[0], self.width)
        return RecurrentState(zeros, zeros)

    def step(self, x: Tensor, state: RecurrentState) -> RecurrentState:
        """Read one position: x [B, D_in]."""
        return self.cell(self.input(x), state)

    def cell(self, projected: Tensor, state: RecurrentState) -> RecurrentState:
        """projected: the input after its projection, [B, gates · D]."""
        hidden, memory = state
        if isinstance(self.config, GRU):
            reset, update, new = projected.chunk(3, dim=-1)
            reset_h, update_h, new_h = self.recurrent(hidden).chunk(3, dim=-1)
            update = torch.sigmoid(update + update_h)
            new = torch.tanh(new + torch.sigmoid(reset + reset_h) * new_h)
            return RecurrentState(new + update * (hidden - new), memory)
        enter, keep, new, show = (projected + self.recurrent(hidden)).chunk(4, dim=-1)
        memory = torch.sigmoid(keep) * memory + torch.sigmoid(enter) * torch.tanh(new)
        return RecurrentState(torch.sigmoid(show) * torch.tanh(memory), memory)


class Bidirectional(nn.Module):
    """Two cells, of which one reads the sequence from its end (Schuster and Paliwal 1997)."""

    def __init__(self, config: GRU | LSTM, width: int, input_width: int):
        """width: of each direction."""
        super().__init__()
        self.forwards = config.build(width, input_width)
        self.backwards = config.build(width, input_width)

    def forward(
        self, x: Tensor, real: Tensor | None = None
    ) -> tuple[Tensor, RecurrentState, RecurrentState]:
        """x: [B, T, D_in] → both at each position, [B, T, 2·D], and each direction's last state.

        real: bool [B, T], False where a position is padding.
        """
        ahead, last = self.forwards(x, real=real)
        back, first = self.backwards(x, real=real, backwards=True)
        return torch.cat((ahead, back), dim=-1), last, first
