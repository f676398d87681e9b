"""BERT (Devlin et al. 2019): an encoder that is trained to fill in masked tokens, and to tell
whether one segment of text follows another.

    tokens + positions + segments → norm → depth × post-norm blocks → [masked-token logits]
                                                     first position → [next-segment logits]
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers import MLP, GroupedQuery, Implementation, LayerNorm, Learned
from groundup.layers.documents import places
from groundup.layers.mlp import ACTIVATIONS, Activation
from groundup.models.decoder import Decoder, check_length
from groundup.models.gpt2 import norms
from groundup.models.huggingface import (
    Family,
    Link,
    Settings,
    expect,
    head_width,
    of_kind,
    read_activation,
    same,
    write_activation,
)
from groundup.models.stack import Encoder


@dataclass(frozen=True, kw_only=True)
class BERT:
    """width: D. depth: L blocks. hidden: inner width of the MLPs. context: the longest sequence.

    segments: kinds of segment that a token can be of.
    """

    vocab_size: int
    context: int
    width: int
    depth: int
    heads: int
    hidden: int
    segments: int = 2
    activation: Activation = "gelu"
    eps: float = 1e-12

    def __post_init__(self) -> None:
        if min(self.heads, self.segments) < 1:
            raise ValueError("heads and segments must be positive")
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        self.blocks()  # raises what a decoder's config does

    def build(self, seed: int) -> "BERTModel":
        """A model with weights drawn from `seed`, in float32 on the CPU."""
        model = BERTModel(self)
        model.initialize(torch.Generator().manual_seed(seed))
        return model

    def blocks(self) -> Decoder:
        """What its blocks are made of."""
        return Decoder(
            vocab_size=self.vocab_size,
            context=self.context,
            width=self.width,
            depth=self.depth,
            attention=GroupedQuery(
                heads=self.heads,
                kv_heads=self.heads,
                head_width=self.width // self.heads,
                query_key_norm=None,
                bias=True,
                output_bias=True,
            ),
            mlp=MLP(hidden=self.hidden, activation=self.activation, bias=True),
            norm=LayerNorm(eps=self.eps),
            placement="post",
            position=Learned(),
        )


PRESETS: dict[str, BERT] = {
    "bert-base": BERT(vocab_size=30_522, context=512, width=768, depth=12, heads=12, hidden=3072),
    "bert-large": BERT(vocab_size=30_522, context=512, width=1024, depth=24, heads=16, hidden=4096),
}


class Predictions(NamedTuple):
    """tokens: logits [B, T, V] of what stands at each position. follows: logits [B, 2]: the second
    segment follows the first; it does not. Of packed documents it is that of the first."""

    tokens: Tensor
    follows: Tensor


class BERTModel(nn.Module):
    """See `BERT`."""

    def __init__(self, config: BERT):
        super().__init__()
        self.config = config
        norm = LayerNorm(eps=config.eps)
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.segments = nn.Embedding(config.segments, config.width)
        self.norm = norm.build(config.width)
        self.encoder = Encoder(config.blocks())
        self.pooler = nn.Linear(config.width, config.width)
        self.follows = nn.Linear(config.width, 2)
        self.transform = nn.Linear(config.width, config.width)
        self.transform_norm = norm.build(config.width)
        self.head_bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(
        self,
        tokens: Tensor,
        *,
        segments: Tensor | None = None,
        real: Tensor | None = None,
        documents: Tensor | None = None,
        implementation: Implementation = "sdpa",
    ) -> Predictions:
        """tokens: integers [B, T]. segments: integers [B, T], by default all 0.
        real: bool [B, T], False where a token is padding. documents: integers [B, T]; a new one
        begins wherever the number changes, and each is read as if alone."""
        hidden = self.hidden(
            tokens,
            segments=segments,
            real=real,
            documents=documents,
            implementation=implementation,
        )
        inner = ACTIVATIONS[self.config.activation](self.transform(hidden))
        logits = F.linear(self.transform_norm(inner), self.embedding.weight, self.head_bias)
        return Predictions(logits, self.follows(torch.tanh(self.pooler(hidden[:, 0]))))

    def hidden(
        self,
        tokens: Tensor,
        *,
        segments: Tensor | None = None,
        real: Tensor | None = None,
        documents: Tensor | None = None,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """What the last block says of each position: [B, T, D]."""
        check_length(tokens.shape[1], self.config.context)
        segments = torch.zeros_like(tokens) if segments is None else segments
        x = self.embedding(tokens) + self.segments(segments)
        at = places(documents, tokens.shape[1], tokens.device)
        x = self.norm(self.encoder.positions.add(x, at))
        return self.encoder(x, real, documents=documents, implementation=implementation)

    def loss(
        self,
        tokens: Tensor,
        targets: Tensor,
        masked: Tensor,
        *,
        segments: Tensor | None = None,
        follows: Tensor | None = None,
        real: Tensor | None = None,
        documents: Tensor | None = None,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """Mean negative log-likelihood of the masked targets, in nats, plus that of whether the
        second segment follows (section 3.1): a scalar.

        targets: integers [B, T]. masked: bool [B, T], where they count. follows: bool [B], or None.
        """
        predictions = self(
            tokens,
            segments=segments,
            real=real,
            documents=documents,
            implementation=implementation,
        )
        loss = F.cross_entropy(predictions.tokens[masked].float(), targets[masked])
        if follows is None:
            return loss
        return loss + F.cross_entropy(predictions.follows.float(), (~follows).long())

    def pseudo_logprobs(self, tokens: Tensor, mask_token: int) -> Tensor:
        """Log-probability of each token given all others, in nats: its pseudo-likelihood (Salazar
        et al. 2020), one pass a position. tokens: [B, T] → [B, T]."""
        columns = []
        for position in range(tokens.shape[1]):
            hidden = tokens.clone()
            hidden[:, position] = mask_token
            logits = self(hidden).tokens[:, position].float()
            columns.append(-F.cross_entropy(logits, tokens[:, position], reduction="none"))
        return torch.stack(columns, dim=1)

    def initialize(self, generator: torch.Generator) -> None:
        """Draw all matrices from N(0, 0.02²), as the paper's code does."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02, generator=generator)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        for parameter in self.encoder.positions.parameters():
            nn.init.normal_(parameter, std=0.02, generator=generator)

    def tie(self) -> None:
        """The head reads the embedding itself: there is nothing to tie."""

    def parameter_count(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.parameters())


def mask_tokens(
    tokens: Tensor,
    candidates: Tensor,
    *,
    mask_token: int,
    vocab_size: int,
    generator: torch.Generator,
    share: float = 0.15,
) -> tuple[Tensor, Tensor]:
    """What BERT is trained on (section 3.1): a share of the candidates is chosen; of those 80 %
    become the mask, 10 % a random token, 10 % stay.

    tokens: integers [B, T]. candidates: bool [B, T], False for special tokens and padding.
    Returns the changed tokens and bool [B, T], which were chosen.
    """
    chosen = candidates & (torch.rand(tokens.shape, generator=generator) < share)
    fate = torch.rand(tokens.shape, generator=generator)
    random = torch.randint(vocab_size, tokens.shape, generator=generator)
    changed = torch.where(chosen & (fate < 0.8), mask_token, tokens)
    return torch.where(chosen & (fate >= 0.9), random, changed), chosen


def _read(settings: Settings) -> BERT:
    expect(settings, is_decoder=False, add_cross_attention=False, tie_word_embeddings=True)
    expect(settings, position_embedding_type="absolute")
    head_width(settings)
    return BERT(
        vocab_size=settings["vocab_size"],
        context=settings["max_position_embeddings"],
        width=settings["hidden_size"],
        depth=settings["num_hidden_layers"],
        heads=settings["num_attention_heads"],
        hidden=settings["intermediate_size"],
        segments=settings.get("type_vocab_size", 2),
        activation=read_activation(settings.get("hidden_act", "gelu")),
        eps=settings.get("layer_norm_eps", 1e-12),
    )


def _write(config: Any) -> dict[str, Any]:
    config = of_kind(BERT, config)
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.hidden,
        "type_vocab_size": config.segments,
        "hidden_act": write_activation(config.activation),
        "layer_norm_eps": config.eps,
    }


def _links(config: BERT) -> Iterator[Link]:
    embeddings = "bert.embeddings"
    yield same("embedding.weight", f"{embeddings}.word_embeddings.weight")
    yield same("segments.weight", f"{embeddings}.token_type_embeddings.weight")
    yield same("encoder.positions.added.weight", f"{embeddings}.position_embeddings.weight")
    yield from norms("norm", f"{embeddings}.LayerNorm")
    yield from norms("pooler", "bert.pooler.dense")
    yield from norms("follows", "cls.seq_relationship")
    yield from norms("transform", "cls.predictions.transform.dense")
    yield from norms("transform_norm", "cls.predictions.transform.LayerNorm")
    yield same("head_bias", "cls.predictions.bias")
    for layer in range(config.depth):
        ours, theirs = f"encoder.blocks.{layer}", f"bert.encoder.layer.{layer}"
        for part, name in (
            ("attention.query", "attention.self.query"),
            ("attention.key", "attention.self.key"),
            ("attention.value", "attention.self.value"),
            ("attention.output", "attention.output.dense"),
            ("attention_post", "attention.output.LayerNorm"),
            ("mlp.up", "intermediate.dense"),
            ("mlp.down", "output.dense"),
            ("mlp_post", "output.LayerNorm"),
        ):
            yield from norms(f"{ours}.{part}", f"{theirs}.{name}")


FAMILY = Family(
    model_type="bert",
    architecture="BertForPreTraining",
    read=_read,
    write=_write,
    links=_links,
    config=BERT,
    prefix="bert.",
    older={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    auto="AutoModelForPreTraining",
    ignored=("position_ids", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias"),
)
