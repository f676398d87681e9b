"""Blocks that see the whole text: the encoder of BERT, of T5 and of the Transformer."""

import torch
from torch import Tensor, nn

from groundup.layers import GroupedQuery, Implementation, Latent
from groundup.layers.documents import numbered, together
from groundup.models.block import Block, Positions
from groundup.models.decoder import Decoder


class Encoder(nn.Module):
    """Every position sees every other one that is real."""

    def __init__(self, config: Decoder):
        """config: of the blocks; what a decoder has beside them is not built."""
        super().__init__()
        check_whole(config)
        self.positions = Positions(config)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.depth))

    def forward(
        self,
        x: Tensor,
        real: Tensor | None = None,
        *,
        documents: Tensor | None = None,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """x: [B, S, D], to which positions were added → [B, S, D].

        real: bool [B, S], False where a position is padding. documents: integers [B, S]; a new one
        begins wherever the number changes, and each is read as if alone.
        """
        S = x.shape[1]
        at = torch.arange(S, device=x.device)
        views = [module(at) for module in self.positions.views]
        mask = seen(real, S, x.device)
        if documents is not None:
            mask = mask & together(numbered(documents))
        documents = pieces(real, documents)
        for layer, block in enumerate(self.blocks):
            x, _, _ = block(
                x,
                view=views[self.positions.view_of[layer]],
                mask=mask,
                documents=documents,
                layer=layer,
                implementation=implementation,
            )
        return x


def check_whole(config: Decoder) -> None:
    """Raises `ValueError` for attention that would not see the whole text."""
    for layer in range(config.depth):
        attention = config.attention_of(layer)
        if not isinstance(attention, GroupedQuery | Latent):
            raise ValueError(f"an encoder sees the whole text, and {type(attention).__name__} not")
        if attention.window is not None:
            raise ValueError(
                f"an encoder sees the whole text: its attention has no window ({attention.window})"
            )


def pieces(real: Tensor | None, documents: Tensor | None) -> Tensor | None:
    """Documents and padding as documents, integers [B, S]: what a shift of keys does not cross."""
    if real is None:
        return documents
    return real.long() + (0 if documents is None else 2 * numbered(documents))


def seen(real: Tensor | None, S: int, device: torch.device) -> Tensor:
    """bool [1 or B, 1, 1, S]: whether a position is seen, by all that look."""
    if real is None:
        return torch.ones(1, 1, 1, S, dtype=torch.bool, device=device)
    return real.bool()[:, None, None]
