"""The parts of a stack of blocks: what positions are to it, a block, and the head above the last.

`models.decoder`, `models.encoder_decoder` and `models.stack` are made of them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.kernels import cpu
from groundup.layers import (
    ALiBi,
    Cache,
    GatedDelta,
    Implementation,
    Learned,
    Mamba2,
    NoPE,
    RelativeBias,
    RoPE,
    RouterReport,
    Sinusoidal,
)
from groundup.layers.cache import Bias, KeysValues
from groundup.layers.dropout import Dropout
from groundup.layers.moe import MixtureOfExperts
from groundup.layers.norm import build_norm

if TYPE_CHECKING:
    from groundup.models.decoder import Decoder

Position = RoPE | ALiBi | RelativeBias | Learned | Sinusoidal | NoPE
Placement = Literal["pre", "post", "sandwich", "after"]

# What positions are to a block's attention: a rotation, or a bias of its logits, or neither. With a
# cache, the bias is one of the positions that the cache names.
View = tuple[tuple[Tensor, Tensor] | None, Tensor | Bias | None]


class Positions(nn.Module):
    """The positions of a decoder: added to its embeddings, or a view for each block's attention.

    Blocks whose positions are alike share one view, which is computed once for them all.
    """

    def __init__(self, config: "Decoder"):
        super().__init__()
        first = config.position_of(0)
        self.added = (
            first.build(config.context, config.width)
            if isinstance(first, Learned | Sinusoidal)
            else nn.Identity()
        )
        keys: dict[tuple[Position, int], int] = {}
        self.views = nn.ModuleList()
        self.view_of: list[int] = []
        for layer in range(config.depth):
            position, attention = config.position_of(layer), config.attention_of(layer)
            if isinstance(attention, Mamba2 | GatedDelta):
                position = NoPE()
            size = attention.rotated_width if isinstance(position, RoPE) else attention.heads
            if (position, size) not in keys:
                keys[position, size] = len(self.views)
                self.views.append(PositionView(position, size))
            self.view_of.append(keys[position, size])

    def add(self, x: Tensor, positions: Tensor) -> Tensor:
        """x: [B, T, D] → the same, with the positions that are added to embeddings."""
        return x if isinstance(self.added, nn.Identity) else x + self.added(positions)


class PositionView(nn.Module):
    """What one kind of position is to attention."""

    def __init__(self, position: Position, size: int):
        """size: the rotated width, or the number of heads."""
        super().__init__()
        self.rotation = position.build(size) if isinstance(position, RoPE) else None
        biased = isinstance(position, ALiBi | RelativeBias)
        self.bias = cast(ALiBi | RelativeBias, position).build(size) if biased else None

    def forward(self, positions: Tensor, *, cached: bool = False) -> View:
        """positions: integers [T] or [B, T]."""
        if self.rotation is not None:
            return self.rotation(positions), None
        if self.bias is None or cached:
            return None, self.bias
        column = torch.arange(positions.shape[-1], device=positions.device)
        return None, self.bias(column, column)  # distances are those of the columns


class Block(nn.Module):
    """Attention, or another mixer of positions, and an MLP: two branches of the residual stream."""

    def __init__(self, config: "Decoder", layer: int):
        super().__init__()
        attention, mlp = config.attention_of(layer), config.mlp_of(layer)
        position = config.position_of(layer)
        self.placement: Placement = config.placement
        self.scale = config.residual_scale
        self.dropout = Dropout(config.dropout) if config.dropout else None
        self.window = attention.window
        self.interleaved = isinstance(position, RoPE) and position.interleaved
        self.lends = layer + 1 < config.depth and config.borrows(layer + 1)
        before = config.norm if config.placement in ("pre", "sandwich") else None
        after = config.norm if config.placement != "pre" else None
        self.attention_norm = build_norm(before, config.width)
        self.attention = attention.build(config.width)
        self.attention_post = build_norm(after, config.width)
        self.mlp_norm = build_norm(before if mlp else None, config.width)
        self.mlp = mlp.build(config.width) if mlp else None
        self.mlp_post = build_norm(after if mlp else None, config.width)

    def forward(
        self,
        x: Tensor,
        *,
        view: View,
        mask: Tensor | None,
        documents: Tensor | None = None,
        cache: Cache | None = None,
        layer: int,
        borrowed: KeysValues | None = None,
        implementation: Implementation,
    ) -> tuple[Tensor, KeysValues | None, RouterReport | None]:
        """x: [B, T, D] → [B, T, D], keys and values if the next block borrows them, and what the
        router did if there is one. The arguments are the attention's."""
        rotation, bias = view
        attended, keys_values = self.attention(
            self.attention_norm(x),
            rotation=rotation,
            interleaved=self.interleaved,
            mask=mask,
            bias=bias,
            documents=documents,
            cache=cache,
            layer=layer,
            borrowed=borrowed,
            implementation=implementation,
        )
        x = self._join(x, attended, self.attention_post)
        report = None
        if self.mlp is not None:
            inner = self.mlp(self.mlp_norm(x))
            if isinstance(self.mlp, MixtureOfExperts):
                inner, report = inner
            x = self._join(x, inner, self.mlp_post)
        return x, keys_values if self.lends else None, report

    def _join(self, x: Tensor, branch: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        if self.scale != 1:
            branch = branch * self.scale
        if self.dropout is not None:
            branch = self.dropout(branch)
        return join(self.placement, x, branch, norm)

    def writes(self) -> list[Tensor]:
        """The weights that write to the residual stream."""
        return self.attention.writes() + ([] if self.mlp is None else self.mlp.writes())


def join(
    placement: Placement, x: Tensor, branch: Tensor, norm: Callable[[Tensor], Tensor]
) -> Tensor:
    """The residual stream after a branch; norm: the one that stands after it, or the identity."""
    return norm(x + branch) if placement == "post" else x + norm(branch)


class Readout(nn.Module):
    """Final norm and head; with targets, the loss of each token.

    A module of its own so that the compiler can fuse norm, head and cross-entropy. embedding: the
    model's own matrix, of which the head has a part where the config says so; `DecoderModel.tie`
    sets it.
    """

    embedding: Tensor | None
    embedding_gain: nn.Parameter | None

    def __init__(self, config: "Decoder"):
        super().__init__()
        self.norm = build_norm(None if config.placement == "post" else config.norm, config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.embedding = None
        gain = nn.Parameter(torch.zeros(config.width)) if config.embedding_in_head else None
        self.embedding_gain = gain
        self.scale, self.softcap = config.logit_scale, config.logit_softcap

    def matrix(self) -> Tensor:
        """What multiplies the normed hidden state: [V, D]."""
        if self.embedding is None or self.embedding_gain is None:
            return self.head.weight
        return torch.addcmul(self.head.weight, self.embedding, self.embedding_gain)

    def forward(self, hidden: Tensor, targets: Tensor | None = None, z_loss: float = 0.0) -> Tensor:
        """hidden: [B, T, D] → logits [B, T, V]; with targets [B, T] → float32 losses [B, T], with
        the penalty of `cross_entropies`."""
        hidden = self.norm(hidden)
        plain = self.embedding is None or self.embedding_gain is None
        logits = self.head(hidden) if plain else F.linear(hidden, self.matrix())
        if self.scale != 1:
            logits = logits * self.scale
        if self.softcap is not None:
            logits = self.softcap * torch.tanh(logits / self.softcap)
        if targets is None:
            return logits
        return cross_entropies(logits, targets, z_loss)


def cross_entropies(logits: Tensor, targets: Tensor, z_loss: float = 0.0) -> Tensor:
    """Negative log-likelihood of each target, in nats.

    z_loss: a factor of log²(Z), Z the sum of the exponentials, which is added: it keeps the logits
    from drifting (Chowdhery et al. 2022, PaLM, section 5).
    logits: [B, T, V]; targets: integers [B, T] → float32 [B, T].
    """
    if cpu.takes(logits):
        return cpu.cross_entropies(logits, targets, z_loss)
    logits = logits.float()
    flat = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    losses = flat.view(targets.shape)
    return losses + z_loss * logits.logsumexp(-1).square() if z_loss else losses
