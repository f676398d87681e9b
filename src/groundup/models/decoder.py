"""The decoder: a stack of causal blocks over token embeddings.

    tokens → embedding → depth × [x + attention(norm(x)); x + mlp(norm(x))] → norm → head → logits

Every part is a config of `groundup.layers`, so that GPT-2, Llama, DeepSeek and Mamba-2 are values
of one class. The same class trains and serves: everything that differs between the two (positions,
mask, cache) is passed to `forward`.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from groundup.core.errors import InputError
from groundup.layers import (
    GLU,
    MLP,
    Cache,
    GatedDelta,
    GroupedQuery,
    Implementation,
    Latent,
    Learned,
    Mamba2,
    MoE,
    Norm,
    RMSNorm,
    RoPE,
    RouterReport,
    Sinusoidal,
)
from groundup.layers.delta import GatedDeltaMixer
from groundup.layers.documents import numbered, places
from groundup.layers.mamba2 import Mamba2Mixer
from groundup.layers.moe import MixtureOfExperts
from groundup.models.block import Block, Placement, Position, Readout
from groundup.models.causal_stack import CausalStack
from groundup.models.recompute import Recompute, in_parts

Mixer = GroupedQuery | Latent | Mamba2 | GatedDelta
Network = GLU | MLP | MoE
Part = TypeVar("Part")


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """width: D. depth: L blocks. context: the longest sequence it is trained on, in tokens.

    attention, mlp, position: of every block, or a tuple that the blocks take in turn, again and
    again: `(local, local, global)`. mlp: None for blocks without one, as Mamba's.
    norm: None for no normalisation. placement of it in each branch f: "pre", x + f(norm(x)) (Xiong
    et al. 2020); "post", norm(x + f(x)) (Vaswani et al. 2017), without a last one before the head;
    "sandwich", x + norm(f(norm(x))) (Ding et al. 2021; Gemma 2); "after", x + norm(f(x)) (OLMo 2).
    residual_scale: a factor of every branch (as 1/√(2L), for depth).
    tied: the head shares the embedding's matrix (Press & Wolf 2017). embedding_in_head: it adds
    that matrix to its own, each channel times a factor that is learned and begins at zero, so that
    a token which was read can be written before the head has learned it (docs/recipe.md).
    embedding_scale: a factor of the embeddings.
    dropout: the share of the embeddings' and of each branch's elements that training sets to zero
    (Srivastava et al. 2014), as GPT-2 does; of the attention's weights none.
    logit_scale, logit_softcap: logits become scale · x, then c · tanh(x / c).
    residual: the format of the residual stream under autocast; bfloat16 halves the memory traffic
    of everything between the matrix products.
    """

    vocab_size: int
    context: int
    width: int
    depth: int
    attention: Mixer | tuple[Mixer, ...]
    mlp: Network | tuple[Network | None, ...] | None
    norm: Norm | None = RMSNorm()
    placement: Placement = "pre"
    position: Position | tuple[Position, ...] = RoPE()
    tied: bool = False
    embedding_in_head: bool = False
    residual_scale: float = 1.0
    embedding_scale: float = 1.0
    dropout: float = 0.0
    logit_scale: float = 1.0
    logit_softcap: float | None = None
    residual: Literal["float32", "compute"] = "compute"

    def __post_init__(self) -> None:
        if min(self.vocab_size, self.context, self.width, self.depth) < 1:
            raise ValueError("vocab_size, context, width and depth must be positive")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout ({self.dropout}) is a share, from 0 up to 1")
        if self.tied and self.embedding_in_head:
            raise ValueError("embedding_in_head adds to a matrix of the head's own: not with tied")
        if () in (self.attention, self.mlp, self.position):
            raise ValueError("attention, mlp and position need at least one entry")
        if any(isinstance(p, Learned | Sinusoidal) for p in as_tuple(self.position)[1:]):
            raise ValueError(
                "positions that are added to the embeddings are the same for all blocks"
            )
        if isinstance(self.position_of(0), Sinusoidal):
            cast(Sinusoidal, self.position_of(0)).check(self.width)
        for layer in range(self.depth):
            attention, position = self.attention_of(layer), self.position_of(layer)
            if isinstance(position, RoPE) and attention.rotated_width:
                position.rotated(attention.rotated_width)  # raises where it cannot
            if self.borrows(layer):
                self._check_borrowing(layer)

    def _check_borrowing(self, layer: int) -> None:
        if not layer:
            raise ValueError("the first block has no layer below to borrow keys and values from")
        mine, below = self.attention_of(layer), self.attention_of(layer - 1)
        if not isinstance(below, GroupedQuery):
            raise ValueError(
                f"block {layer} borrows keys and values, and {type(below).__name__} below it has "
                "none to lend"
            )
        assert isinstance(mine, GroupedQuery)
        if (mine.kv_heads, mine.head_width) != (below.kv_heads, below.head_width):
            raise ValueError(
                f"block {layer} borrows keys and values, and needs kv_heads and head_width of the "
                f"block below it: {below.kv_heads} and {below.head_width}"
            )
        if mine.window != below.window:
            raise ValueError(
                f"block {layer} borrows keys and values, and needs the window of the block below "
                f"it: {below.window}"
            )
        places = (self.position_of(layer), self.position_of(layer - 1))
        if places[0] != places[1] and any(isinstance(place, RoPE) for place in places):
            raise ValueError(
                f"block {layer} borrows keys, and needs the position of the block below it, by "
                "which they were rotated"
            )

    def attention_of(self, layer: int) -> Mixer:
        return _turn(self.attention, layer)

    def mlp_of(self, layer: int) -> Network | None:
        return _turn(self.mlp, layer)

    def position_of(self, layer: int) -> Position:
        return _turn(self.position, layer)

    def borrows(self, layer: int) -> bool:
        """Whether a block's attention reads the keys and values of the block below."""
        attention = self.attention_of(layer)
        return isinstance(attention, GroupedQuery) and attention.borrow

    def build(self, seed: int) -> "DecoderModel":
        """A model with weights drawn from `seed`, in float32 on the CPU."""
        model = DecoderModel(self)
        model.initialize(torch.Generator().manual_seed(seed))
        return model


def as_tuple(parts: Part | tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts that blocks take in turn."""
    return cast(tuple[Part, ...], parts) if isinstance(parts, tuple) else (parts,)


def in_turn(parts: Sequence[Part]) -> Part | tuple[Part, ...]:
    """What blocks with these parts take in turn: the shortest tuple, or the one part."""
    repeats = (
        n for n in range(1, len(parts)) if all(p == parts[i % n] for i, p in enumerate(parts))
    )
    period = next(repeats, len(parts))
    return parts[0] if period == 1 else tuple(parts[:period])


def _turn(parts: Part | tuple[Part, ...], layer: int) -> Part:
    parts = as_tuple(parts)
    return parts[layer % len(parts)]


class DecoderModel(CausalStack):
    """See `Decoder`. Parameters are float32; run it under autocast for faster formats."""

    def __init__(self, config: Decoder):
        super().__init__(config)
        self.readout = Readout(config)
        self.tie()

    def tie(self) -> None:
        """Let the head share or read the embedding's matrix, where the config says so."""
        if self.config.tied:
            self.readout.head.weight = self.embedding.weight
        if self.config.embedding_in_head:
            self.readout.embedding = self.embedding.weight

    @torch.no_grad()
    def with_plain_head(self) -> "DecoderModel":
        """A copy that computes the same: what the head reads of the embedding is in its own matrix,
        which need not be added up in each pass, and which any class has."""
        plain = copy.deepcopy(self)
        if self.config.embedding_in_head:
            plain.config = replace(self.config, embedding_in_head=False)
            plain.readout.head.weight.copy_(self.readout.matrix())
            plain.readout.embedding = plain.readout.embedding_gain = None
        return plain

    def compiled_parts(self) -> list[nn.Module]:
        """What is worth compiling, each by itself: blocks share a shape, so the compiler works once
        for all of them; readout and loss become one."""
        return [*self.blocks, self.readout]

    def forward(
        self,
        tokens: Tensor,
        *,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        implementation: Implementation = "sdpa",
        reports: list[RouterReport] | None = None,
    ) -> Tensor:
        """Logits of the token that follows each position.

        tokens: integers [B, T]. positions: integers [T] or [B, T], by default 0 … T−1, in each
        document anew. documents: integers [B, T]; a new one begins wherever the number changes, and
        sees nothing of those before. Padding is a document, too.
        mask: bool [B, 1, T, T], True where attention's query sees a key; by default causal.
        cache: has what stands before the tokens, and keeps them, too; it says what each token
        sees, in place of a mask and of documents, and needs to be given their positions.
        reports: takes what each router did, in the order of the blocks.
        Returns [B, T, V].
        """
        return self.readout(
            self.hidden(
                tokens,
                positions=positions,
                documents=documents,
                mask=mask,
                cache=cache,
                implementation=implementation,
                reports=reports,
            )
        )

    def losses(
        self,
        tokens: Tensor,
        targets: Tensor,
        *,
        documents: Tensor | None = None,
        implementation: Implementation = "sdpa",
        reports: list[RouterReport] | None = None,
        recompute: Recompute = "nothing",
        z_loss: float = 0.0,
    ) -> Tensor:
        """Negative log-likelihood of each target, in nats.

        tokens, targets: integers [B, T]. Returns float32 [B, T]. The one function under
        pretraining (its mean), fine-tuning (a weighted mean), reinforcement learning (minus it is
        the log-probability) and evaluation (its sum).
        recompute: what the backward pass computes anew. z_loss: see `cross_entropies`.
        """
        hidden = self.hidden(
            tokens,
            documents=documents,
            implementation=implementation,
            reports=reports,
            recompute=recompute == "blocks",
        )
        if recompute == "nothing":
            return self.readout(hidden, targets, z_loss)
        return in_parts(partial(self.readout, z_loss=z_loss), hidden, targets)

    def logprobs(self, tokens: Tensor) -> Tensor:
        """Log-probability of each token but the first, given those before it: [B, T−1], in nats."""
        if tokens.shape[1] < 2:
            return self.embedding.weight.new_empty(len(tokens), 0)
        return -self.losses(tokens[:, :-1], tokens[:, 1:])

    def hidden(
        self,
        tokens: Tensor,
        *,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        implementation: Implementation = "sdpa",
        reports: list[RouterReport] | None = None,
        recompute: bool = False,
    ) -> Tensor:
        """The residual stream after the last block: [B, T, D].

        recompute: of each block keep the input alone for the backward pass.
        """
        T = tokens.shape[1]
        if cache is None:
            check_length(T, self.config.context)
        elif positions is None or documents is not None or mask is not None:
            raise ValueError("with a cache, positions are to be given, and no documents or mask")
        if documents is not None:
            documents = numbered(documents)
        if positions is None:
            positions = places(documents, T, tokens.device)
        return self.through(
            self.embed(tokens, positions),
            positions,
            documents=documents,
            mask=mask,
            cache=cache,
            implementation=implementation,
            reports=reports,
            recompute=recompute,
        )

    def initialize(self, generator: torch.Generator) -> None:
        """Draw the weights: embeddings N(0, 1/4), matrices N(0, 1/(4·fan-in)), head N(0, 0.02²).

        The matrices that write to the residual stream start at zero, so that each block starts as
        the identity (Goyal et al. 2017, section 5.1, do the same with their last normalisation).
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                std = 0.5 * module.in_features**-0.5
                nn.init.normal_(module.weight, std=std, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, MixtureOfExperts | Mamba2Mixer | GatedDeltaMixer):
                module.initialize(generator, gain=0.5)
        head_std = 0.02
        embedding_std = head_std if self.config.tied else 0.5
        nn.init.normal_(self.readout.head.weight, std=head_std, generator=generator)
        nn.init.normal_(self.embedding.weight, std=embedding_std, generator=generator)
        for parameter in self.positions.added.parameters():
            nn.init.normal_(parameter, std=embedding_std / 2, generator=generator)
        for block in self.blocks:
            assert isinstance(block, Block)
            for weight in block.writes():
                nn.init.zeros_(weight)
        if self.readout.embedding_gain is not None:
            nn.init.zeros_(self.readout.embedding_gain)

    def parameter_count(self) -> int:
        """Number of weights, a tied matrix counted once."""
        return sum(parameter.numel() for parameter in self.parameters())


def check_length(tokens: int, context: int) -> None:
    """Raises `InputError` for a sequence that is longer than the model's context."""
    if tokens > context:
        raise InputError(
            f"a sequence has {tokens} tokens, and the model's context holds {context}: shorten it."
        )
