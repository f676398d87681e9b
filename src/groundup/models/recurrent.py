"""The recurrent language model (Mikolov et al. 2010; Zaremba, Sutskever and Vinyals 2014): cells in
layers read a text token by token, and what they have read is a vector of constant size.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from groundup.layers import GRU, LSTM, Implementation, RouterReport
from groundup.layers.recurrent import Recurrent, RecurrentState
from groundup.models.block import cross_entropies
from groundup.models.recompute import Recompute, in_parts


@dataclass(frozen=True, kw_only=True)
class RecurrentLM:
    """width: D, of embedding and cells. depth: cells above each other. context: tokens that are
    read at a time in training; there is no longest text. tied: the head shares the embedding's
    matrix.
    """

    vocab_size: int
    context: int
    width: int
    depth: int
    cell: GRU | LSTM = LSTM()
    tied: bool = False

    def __post_init__(self) -> None:
        if min(self.vocab_size, self.context, self.width, self.depth) < 1:
            raise ValueError("vocab_size, context, width and depth must be positive")

    def build(self, seed: int) -> "RecurrentModel":
        """A model with weights drawn from `seed`, in float32 on the CPU."""
        model = RecurrentModel(self)
        model.initialize(torch.Generator().manual_seed(seed))
        return model

    def matrix_parameters(self) -> int:
        """Weights that multiply every token."""
        return self.width * (2 * self.depth * self.cell.gates * self.width + self.vocab_size)


class RecurrentModel(nn.Module):
    """See `RecurrentLM`. The cells' inputs are added to their outputs from the second layer on."""

    def __init__(self, config: RecurrentLM):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(config.cell.build(config.width) for _ in range(config.depth))
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.tie()

    def tie(self) -> None:
        """Let the head share the embedding's matrix, where the config says so."""
        if self.config.tied:
            self.head.weight = self.embedding.weight

    def compiled_parts(self) -> list[nn.Module]:
        """Nothing: a loop over positions is not worth compiling."""
        return []

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """Logits of the token that follows each position: integers [B, T] → [B, T, V].

        documents: integers [B, T]; a new one begins wherever the number changes, and knows nothing
        of those before.
        """
        return self.read(tokens, documents=documents)[0]

    def read(
        self,
        tokens: Tensor,
        states: list[RecurrentState] | None = None,
        *,
        documents: Tensor | None = None,
    ) -> tuple[Tensor, list[RecurrentState]]:
        """The logits, and the states after the last position, for a text in pieces.

        tokens: integers [B, T]. states: of each layer, before the first position. documents: as in
        `forward`.
        """
        x, after = self.hidden(tokens, states, documents=documents)
        return self.head(x), after

    def hidden(
        self,
        tokens: Tensor,
        states: list[RecurrentState] | None = None,
        *,
        documents: Tensor | None = None,
    ) -> tuple[Tensor, list[RecurrentState]]:
        """What `read` makes logits of: [B, T, D], and the states."""
        x = self.embedding(tokens)
        after: list[RecurrentState] = []
        for layer, cell in enumerate(self.blocks):
            assert isinstance(cell, Recurrent)
            y, state = cell(x, None if states is None else states[layer], documents=documents)
            x = y + x if layer else y
            after.append(state)
        return x, after

    def losses(
        self,
        tokens: Tensor,
        targets: Tensor,
        *,
        documents: Tensor | None = None,
        implementation: Implementation = "sdpa",  # noqa: ARG002
        reports: list[RouterReport] | None = None,  # noqa: ARG002
        recompute: Recompute = "nothing",
        z_loss: float = 0.0,
    ) -> Tensor:
        """Negative log-likelihood of each target, in nats: integers [B, T] twice → float32 [B, T].

        documents: as in `forward`. implementation, reports: as for a decoder; there is nothing to
        choose and to report. recompute, z_loss: as for a decoder; cells are not computed anew.
        """
        hidden = self.hidden(tokens, documents=documents)[0]
        if recompute == "nothing":
            return self._losses(hidden, targets, z_loss)
        return in_parts(partial(self._losses, z_loss=z_loss), hidden, targets)

    def _losses(self, hidden: Tensor, targets: Tensor, z_loss: float) -> Tensor:
        return cross_entropies(self.head(hidden), targets, z_loss)

    def logprobs(self, tokens: Tensor) -> Tensor:
        """Log-probability of each token but the first, given those before it: [B, T−1], in nats."""
        return -self.losses(tokens[:, :-1], tokens[:, 1:])

    def initialize(self, generator: torch.Generator) -> None:
        """Draw matrices from N(0, 1/fan-in), the embedding from N(0, 1/4), the head from
        N(0, 0.02²); a forget gate begins open (Jozefowicz et al. 2015, section 2.2)."""
        width = self.config.width
        for cell in self.blocks:
            assert isinstance(cell, Recurrent)
            for linear in (cell.input, cell.recurrent):
                nn.init.normal_(linear.weight, std=width**-0.5, generator=generator)
                if linear.bias is not None:
                    nn.init.zeros_(linear.bias)
            if isinstance(self.config.cell, LSTM) and cell.input.bias is not None:
                nn.init.ones_(cell.input.bias[width : 2 * width])
        nn.init.normal_(self.head.weight, std=0.02, generator=generator)
        if not self.config.tied:
            nn.init.normal_(self.embedding.weight, std=0.5, generator=generator)

    def parameter_count(self) -> int:
        """Number of weights, a tied matrix counted once."""
        return sum(parameter.numel() for parameter in self.parameters())
