"""Encoder and decoder: one reads a text whole, the other writes another one while it looks at it.

    source → embedding → encoder blocks → norm ──────────────┐ keys and values
    target → embedding → blocks of self-attention, cross-attention, MLP → norm → head → logits

The original Transformer (Vaswani et al. 2017) and T5 (Raffel et al. 2020) are values of one class;
see `models.transformer` and `models.t5`.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from groundup.layers import (
    GLU,
    MLP,
    GroupedQuery,
    Implementation,
    Norm,
    RelativeBias,
    RMSNorm,
    Sinusoidal,
)
from groundup.layers.attend import causal_mask
from groundup.layers.documents import borders, numbered, places, together
from groundup.layers.norm import build_norm
from groundup.models.block import (
    Placement,
    Positions,
    Readout,
    View,
    cross_entropies,
    join,
)
from groundup.models.decoder import Decoder, check_length
from groundup.models.stack import Encoder, check_whole, pieces, seen

Documents = tuple[Tensor, Tensor]  # of source and target


@dataclass(frozen=True, kw_only=True)
class EncoderDecoder:
    """width: D. encoder_depth, depth: blocks of the encoder and of the decoder.

    One vocabulary and one embedding serve source and target. context: the longest of either, in
    tokens. attention: of all three kinds, by itself and across; it has no window. begin: the token
    that a target is begun with. The rest: as in `Decoder`.
    """

    vocab_size: int
    context: int
    width: int
    encoder_depth: int
    depth: int
    attention: GroupedQuery
    mlp: GLU | MLP
    norm: Norm = RMSNorm()
    placement: Placement = "pre"
    position: RelativeBias | Sinusoidal = RelativeBias()
    tied: bool = True
    embedding_scale: float = 1.0
    logit_scale: float = 1.0
    head_bias: bool = False
    begin: int = 0

    def __post_init__(self) -> None:
        if self.encoder_depth < 1:
            raise ValueError("encoder_depth must be positive")
        if not 0 <= self.begin < self.vocab_size:
            raise ValueError(f"begin ({self.begin}) must be a token of the vocabulary")
        check_whole(self.blocks(encoder=True))
        self.blocks(encoder=False)  # raises what a decoder's config does

    def build(self, seed: int) -> "EncoderDecoderModel":
        """A model with weights drawn from `seed`, in float32 on the CPU."""
        model = EncoderDecoderModel(self)
        model.initialize(torch.Generator().manual_seed(seed))
        return model

    def blocks(self, *, encoder: bool) -> Decoder:
        """What the blocks of one side are made of."""
        position = self.position
        if isinstance(position, RelativeBias):
            position = replace(position, causal=not encoder)
        return Decoder(
            vocab_size=self.vocab_size,
            context=self.context,
            width=self.width,
            depth=self.encoder_depth if encoder else self.depth,
            attention=self.attention,
            mlp=self.mlp,
            norm=self.norm,
            placement=self.placement,
            position=position,
            tied=self.tied,
            logit_scale=self.logit_scale,
        )


class EncoderDecoderModel(nn.Module):
    """See `EncoderDecoder`."""

    def __init__(self, config: EncoderDecoder):
        super().__init__()
        self.config = config
        last = None if config.placement == "post" else config.norm
        blocks = config.blocks(encoder=False)
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.encoder = Encoder(config.blocks(encoder=True))
        self.encoder_norm = build_norm(last, config.width)
        self.positions = Positions(blocks)
        self.blocks = nn.ModuleList(CrossBlock(config) for _ in range(config.depth))
        self.readout = Readout(blocks)
        self.head_bias = nn.Parameter(torch.zeros(config.vocab_size)) if config.head_bias else None
        self.tie()

    def tie(self) -> None:
        """Let the head share the embedding's matrix, where the config says so."""
        if self.config.tied:
            self.readout.head.weight = self.embedding.weight

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        real: Tensor | None = None,
        documents: Documents | None = None,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """Logits of the token that follows each of the target's.

        source: integers [B, S]. target: integers [B, T], begun with `begin`. real: bool [B, S],
        False where the source is padding. documents: packed pairs, whose numbers are integers
        [B, S] and [B, T]; a new document begins wherever the number changes, begun with `begin` in
        the target, and the n-th of the target reads the n-th of the source. Returns [B, T, V].
        Raises `InputError` where source or target is longer than the context.
        """
        packed = None if documents is None else documents[0]
        memory = self.encode(source, real, documents=packed, implementation=implementation)
        return self.decode(target, memory, real, documents=documents, implementation=implementation)

    def encode(
        self,
        source: Tensor,
        real: Tensor | None = None,
        *,
        documents: Tensor | None = None,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """What the decoder looks at: [B, S] → [B, S, D]. documents: the source's, [B, S]."""
        x = self._embed(source, self.encoder.positions, documents)
        x = self.encoder(x, real, documents=documents, implementation=implementation)
        return self.encoder_norm(x)

    def decode(
        self,
        target: Tensor,
        memory: Tensor,
        real: Tensor | None = None,
        *,
        documents: Documents | None = None,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """target: [B, T]; memory: [B, S, D]; real: bool [B, S] → logits [B, T, V]."""
        T = target.shape[1]
        theirs, ours = (None, None) if documents is None else map(numbered, documents)
        x = self._embed(target, self.positions, ours)
        view = self.positions.views[0](torch.arange(T, device=x.device))
        before, mask = None, seen(real, memory.shape[1], memory.device)
        if theirs is not None and ours is not None:
            before = causal_mask(T, T, x.device) & together(ours)
            mask = mask & (ours[:, None, :, None] == theirs[:, None, None, :])
        for block in self.blocks:
            x = block(
                x,
                memory,
                view=view,
                before=before,
                mask=mask,
                documents=(pieces(real, theirs), ours),
                implementation=implementation,
            )
        logits = self.readout(x)
        return logits if self.head_bias is None else logits + self.head_bias

    def losses(
        self,
        source: Tensor,
        target: Tensor,
        *,
        real: Tensor | None = None,
        documents: Documents | None = None,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """Negative log-likelihood of each of the target's tokens given those before it and the
        source, in nats: integers [B, S] and [B, T], without `begin` → float32 [B, T]."""
        begin = torch.full_like(target[:, :1], self.config.begin)
        begun = torch.cat((begin, target[:, :-1]), dim=1)
        if documents is not None:
            begun = begun.masked_fill(borders(documents[1]), self.config.begin)
        logits = self(source, begun, real=real, documents=documents, implementation=implementation)
        return cross_entropies(logits, target)

    @torch.no_grad()
    def generate(
        self, source: Tensor, *, end: int, most: int, real: Tensor | None = None
    ) -> Tensor:
        """The likeliest token after token, up to `most` or to what the context holds: [B, S] →
        [B, ≤ most]. A row that has ended goes on with `end`."""
        memory = self.encode(source, real)
        target = torch.full_like(source[:, :1], self.config.begin)
        for _ in range(min(most, self.config.context)):
            token = self.decode(target, memory, real)[:, -1].argmax(-1, keepdim=True)
            over = (target[:, 1:] == end).any(dim=1, keepdim=True)
            target = torch.cat((target, token.masked_fill(over, end)), dim=1)
            if (target[:, 1:] == end).any(dim=1).all():
                break
        return target[:, 1:]

    def _embed(self, tokens: Tensor, positions: Positions, documents: Tensor | None) -> Tensor:
        check_length(tokens.shape[1], self.config.context)
        x = self.embedding(tokens) * self.config.embedding_scale
        return positions.add(x, places(documents, tokens.shape[1], tokens.device))

    def initialize(self, generator: torch.Generator) -> None:
        """Draw matrices from N(0, 1/fan-in), and embeddings such that what enters the first block,
        and the logits of a tied head, are of order one."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                std = module.in_features**-0.5
                nn.init.normal_(module.weight, std=std, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        std = 1 / self.config.embedding_scale if self.config.embedding_scale > 1 else 0.5
        nn.init.normal_(self.embedding.weight, std=std, generator=generator)

    def parameter_count(self) -> int:
        """Number of weights, a tied matrix counted once."""
        return sum(parameter.numel() for parameter in self.parameters())


class CrossBlock(nn.Module):
    """Self-attention, attention to the memory, MLP: three branches of the residual stream."""

    def __init__(self, config: EncoderDecoder):
        super().__init__()
        self.placement: Placement = config.placement
        before = config.norm if config.placement in ("pre", "sandwich") else None
        after = config.norm if config.placement != "pre" else None
        self.attention_norm = build_norm(before, config.width)
        self.attention = config.attention.build(config.width)
        self.attention_post = build_norm(after, config.width)
        self.cross_norm = build_norm(before, config.width)
        self.cross = config.attention.build(config.width)
        self.cross_post = build_norm(after, config.width)
        self.mlp_norm = build_norm(before, config.width)
        self.mlp = config.mlp.build(config.width)
        self.mlp_post = build_norm(after, config.width)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        view: View,
        before: Tensor | None,
        mask: Tensor,
        documents: tuple[Tensor | None, Tensor | None],
        implementation: Implementation,
    ) -> Tensor:
        """x: [B, T, D]; memory: [B, S, D] → [B, T, D].

        before: bool [B, 1, T, T], what each position sees of x; None is causal. mask: bool [1 or B,
        1, 1 or T, S], what it sees of the memory. documents: of the memory and of x.
        """
        attended, _ = self.attention(
            self.attention_norm(x),
            mask=before,
            bias=view[1],
            documents=documents[1],
            implementation=implementation,
        )
        x = join(self.placement, x, attended, self.attention_post)
        keys_values = self.cross.project(memory, documents[0])
        looked, _ = self.cross(
            self.cross_norm(x), borrowed=keys_values, mask=mask, implementation=implementation
        )
        x = join(self.placement, x, looked, self.cross_post)
        return join(self.placement, x, self.mlp(self.mlp_norm(x)), self.mlp_post)
