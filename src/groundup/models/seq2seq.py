"""Recurrent translation with attention (Bahdanau, Cho and Bengio 2015; Luong, Pham and Manning
2015): the step from one vector for a whole sentence to looking back at every word of it.

    source → embedding → cells in both directions ──┐ states
    target → embedding → cell ⇄ attention ──────────┘ → logits
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from groundup.layers import GRU, LSTM, Bahdanau, Luong
from groundup.layers.recurrent import Bidirectional, RecurrentState
from groundup.models.block import cross_entropies


@dataclass(frozen=True, kw_only=True)
class Seq2Seq:
    """width: D, of embeddings, of each direction of the encoder, and of the decoder.

    attention: with Bahdanau's the decoder looks before it reads a word: what it saw enters the
    cell. With Luong's it looks afterwards, and what it saw enters the next step (input feeding).
    begin: the token that a target is begun with.
    """

    source_vocab_size: int
    vocab_size: int
    width: int
    cell: GRU | LSTM = GRU()
    attention: Bahdanau | Luong
    begin: int = 0

    def __post_init__(self) -> None:
        if min(self.source_vocab_size, self.vocab_size, self.width) < 1:
            raise ValueError("vocabularies and width must be positive")
        if not 0 <= self.begin < self.vocab_size:
            raise ValueError(f"begin ({self.begin}) must be a token of the vocabulary")

    def build(self, seed: int) -> "Seq2SeqModel":
        """A model with weights drawn from `seed`, in float32 on the CPU."""
        model = Seq2SeqModel(self)
        model.initialize(torch.Generator().manual_seed(seed))
        return model


class Seq2SeqModel(nn.Module):
    """See `Seq2Seq`."""

    def __init__(self, config: Seq2Seq):
        super().__init__()
        self.config = config
        D = config.width
        early = isinstance(config.attention, Bahdanau)
        self.source = nn.Embedding(config.source_vocab_size, D)
        self.target = nn.Embedding(config.vocab_size, D)
        self.encoder = Bidirectional(config.cell, D, D)
        self.bridge = nn.Linear(D, D)
        self.memory = nn.Linear(2 * D, D) if not early else nn.Identity()
        self.attention = config.attention.build(D, 2 * D if early else D)
        self.cell = config.cell.build(D, 3 * D if early else 2 * D)
        self.combine = nn.Linear(4 * D if early else 2 * D, 2 * D if early else D)
        self.head = nn.Linear(D, config.vocab_size)

    def tie(self) -> None:
        """There is nothing to tie."""

    def forward(self, source: Tensor, target: Tensor, *, real: Tensor | None = None) -> Tensor:
        """Logits of the token that follows each of the target's.

        source: integers [B, S]. target: integers [B, T], begun with `begin`. real: bool [B, S],
        False where the source is padding. Returns [B, T, V].
        """
        return self.look(source, target, real=real)[0]

    def look(
        self, source: Tensor, target: Tensor, *, real: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The logits, and at each of the target's tokens where it looked, [B, T, S]."""
        memory, state = self.encode(source, real)
        keys = self.attention.keys(memory)
        seen = torch.zeros_like(state.hidden)
        outputs, looks = [], []
        for word in self.target(target).unbind(dim=1):
            output, weights, state, seen = self._step(word, state, seen, memory, keys, real)
            outputs.append(output)
            looks.append(weights)
        return self._readout(torch.stack(outputs, dim=1)), torch.stack(looks, dim=1)

    def encode(self, source: Tensor, real: Tensor | None = None) -> tuple[Tensor, RecurrentState]:
        """What the decoder looks at, [B, S, E], and its first state, made from what the backward
        cell has read when it has come to the first word (2015, appendix A.2.2)."""
        states, _, first = self.encoder(self.source(source), real)
        hidden = torch.tanh(self.bridge(first.hidden))
        return self.memory(states), RecurrentState(hidden, torch.zeros_like(hidden))

    def losses(self, source: Tensor, target: Tensor, *, real: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of each of the target's tokens given those before it and the
        source, in nats: integers [B, S] and [B, T], without `begin` → float32 [B, T]."""
        begin = torch.full_like(target[:, :1], self.config.begin)
        logits = self(source, torch.cat((begin, target[:, :-1]), dim=1), real=real)
        return cross_entropies(logits, target)

    @torch.no_grad()
    def generate(
        self, source: Tensor, *, end: int, most: int, real: Tensor | None = None
    ) -> Tensor:
        """The likeliest token after token, up to `most`: [B, S] → [B, ≤ most]. A row that has ended
        goes on with `end`."""
        memory, state = self.encode(source, real)
        keys = self.attention.keys(memory)
        seen = torch.zeros_like(state.hidden)
        token = torch.full_like(source[:, 0], self.config.begin)
        over = torch.zeros_like(token, dtype=torch.bool)
        tokens = []
        for _ in range(most):
            word = self.target(token)
            output, _, state, seen = self._step(word, state, seen, memory, keys, real)
            token = self._readout(output).argmax(-1).masked_fill(over, end)
            tokens.append(token)
            over = over | (token == end)
            if over.all():
                break
        return torch.stack(tokens, dim=1)

    def _step(
        self,
        word: Tensor,
        state: RecurrentState,
        seen: Tensor,
        memory: Tensor,
        keys: Tensor,
        real: Tensor | None,
    ) -> tuple[Tensor, Tensor, RecurrentState, Tensor]:
        """Read a word [B, D]; returns what the readout takes, the weights [B, S], and what the next
        step needs."""
        if isinstance(self.config.attention, Bahdanau):
            context, weights = self.attention(state.hidden, memory, keys, real)
            output = torch.cat((state.hidden, word, context), dim=-1)
            state = self.cell.step(torch.cat((word, context), dim=-1), state)
            return output, weights, state, seen
        state = self.cell.step(torch.cat((word, seen), dim=-1), state)
        context, weights = self.attention(state.hidden, memory, keys, real)
        seen = torch.tanh(self.combine(torch.cat((context, state.hidden), dim=-1)))
        return seen, weights, state, seen

    def _readout(self, output: Tensor) -> Tensor:
        """Logits; with Bahdanau's attention after a layer of maxout (2015, appendix A.2.2)."""
        if isinstance(self.config.attention, Bahdanau):
            output = self.combine(output).unflatten(-1, (-1, 2)).max(dim=-1).values
        return self.head(output)

    def initialize(self, generator: torch.Generator) -> None:
        """Draw matrices from N(0, 1/fan-in), embeddings from N(0, 1)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                std = module.in_features**-0.5
                nn.init.normal_(module.weight, std=std, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, generator=generator)

    def parameter_count(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.parameters())
