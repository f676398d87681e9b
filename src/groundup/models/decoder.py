"""The decoder: a stack of causal blocks over token embeddings (Llama's arrangement).

    tokens → embedding → depth × [x + attention(norm(x)); x + mlp(norm(x))] → norm → head → logits

The same class trains and serves: everything that differs between the two (positions, mask, cache)
is passed to `forward`.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers import GroupedQuery, KeyValueCache, RMSNorm, Rotary, SwiGLU
from groundup.layers.attention import Implementation


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """width: D. depth: L blocks. context: the longest sequence it is trained on, in tokens.

    tied: the head shares the embedding's matrix.
    residual: the format of the residual stream under autocast; bfloat16 halves the memory traffic
    of everything between the matrix products.
    """

    vocab_size: int
    context: int
    width: int
    depth: int
    attention: GroupedQuery
    mlp: SwiGLU
    norm: RMSNorm = RMSNorm()
    position: Rotary = Rotary()
    tied: bool = False
    residual: Literal["float32", "compute"] = "compute"

    def __post_init__(self) -> None:
        if min(self.vocab_size, self.context, self.width, self.depth) < 1:
            raise ValueError("vocab_size, context, width and depth must be positive")

    def build(self, seed: int) -> "DecoderModel":
        """A model with weights drawn from `seed`, in float32 on the CPU."""
        model = DecoderModel(self)
        model.initialize(torch.Generator().manual_seed(seed))
        return model


class DecoderModel(nn.Module):
    """See `Decoder`. Parameters are float32; run it under autocast for faster formats."""

    def __init__(self, config: Decoder):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.position = config.position.build(config.attention.head_width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.readout = Readout(config)
        if config.tied:
            self.readout.head.weight = self.embedding.weight

    def forward(
        self,
        tokens: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Logits of the token that follows each position.

        tokens: integers [B, T]. positions: integers [T] or [B, T], by default 0 … T−1.
        mask: bool [B, 1, T, T_all], True where a query sees a key; by default causal.
        Returns [B, T, V].
        """
        return self.readout(self.hidden(tokens, positions=positions, mask=mask, cache=cache))

    def losses(
        self, tokens: Tensor, targets: Tensor, *, implementation: Implementation = "sdpa"
    ) -> Tensor:
        """Negative log-likelihood of each target, in nats.

        tokens, targets: integers [B, T]. Returns float32 [B, T]. The one function under
        pretraining (its mean), fine-tuning (a weighted mean), reinforcement learning (minus it is
        the log-probability) and evaluation (its sum).
        """
        return self.readout(self.hidden(tokens, implementation=implementation), targets)

    def hidden(
        self,
        tokens: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """The residual stream after the last block: [B, T, D]."""
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)
        rotation = self.position(positions)
        x = self.embedding(tokens)
        if self.config.residual == "compute" and torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        for layer, block in enumerate(self.blocks):
            x = block(
                x, rotation, mask=mask, cache=cache, layer=layer, implementation=implementation
            )
        return x

    def initialize(self, generator: torch.Generator) -> None:
        """Draw the weights: embeddings N(0, 1/4), matrices N(0, 1/(4·fan-in)), head N(0, 0.02²).

        The matrices that write to the residual stream start at zero, so that each block starts as
        the identity (Goyal et al. 2017, section 5.1, do the same with their last normalisation).
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                std = 0.5 * module.in_features**-0.5
                nn.init.normal_(module.weight, std=std, generator=generator)
        head_std = 0.02
        embedding_std = head_std if self.config.tied else 0.5
        nn.init.normal_(self.readout.head.weight, std=head_std, generator=generator)
        nn.init.normal_(self.embedding.weight, std=embedding_std, generator=generator)
        for block in self.blocks:
            assert isinstance(block, Block)
            nn.init.zeros_(block.attention.output.weight)
            nn.init.zeros_(block.mlp.down.weight)

    def parameter_count(self) -> int:
        """Number of weights, a tied matrix counted once."""
        return sum(parameter.numel() for parameter in self.parameters())


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): pre-normalisation (Xiong et al. 2020)."""

    def __init__(self, config: Decoder):
        super().__init__()
        self.attention_norm = config.norm.build(config.width)
        self.attention = config.attention.build(config.width)
        self.mlp_norm = config.norm.build(config.width)
        self.mlp = config.mlp.build(config.width)

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor],
        *,
        mask: Tensor | None,
        cache: KeyValueCache | None,
        layer: int,
        implementation: Implementation,
    ) -> Tensor:
        """x: [B, T, D] → [B, T, D]; the other arguments are the attention's."""
        x = x + self.attention(
            self.attention_norm(x),
            rotation,
            mask=mask,
            cache=cache,
            layer=layer,
            implementation=implementation,
        )
        return x + self.mlp(self.mlp_norm(x))


class Readout(nn.Module):
    """Final norm and head; with targets, the loss of each token.

    A module of its own so that the compiler can fuse norm, head and cross-entropy.
    """

    def __init__(self, config: Decoder):
        super().__init__()
        self.norm = config.norm.build(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)

    def forward(self, hidden: Tensor, targets: Tensor | None = None) -> Tensor:
        """hidden: [B, T, D] → logits [B, T, V]; with targets [B, T] → float32 losses [B, T]."""
        logits = self.head(self.norm(hidden))
        if targets is None:
            return logits
        flat = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        return flat.view(targets.shape)
