"""The residual stream of a decoder: from tokens, through its blocks."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from groundup.layers import Cache, Implementation, RouterReport
from groundup.layers.attend import causal_mask
from groundup.layers.cache import KeysValues
from groundup.layers.documents import together
from groundup.layers.dropout import Dropout
from groundup.models.block import Block, Positions
from groundup.models.recompute import recomputed

if TYPE_CHECKING:
    from groundup.models.decoder import Decoder


class CausalStack(nn.Module):
    """Embedding, positions and blocks."""

    def __init__(self, config: "Decoder"):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.dropout = Dropout(config.dropout) if config.dropout else None
        self.positions = Positions(config)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.depth))

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """The residual stream before the first block: [B, T, D]."""
        x = self.embedding(tokens)
        if self.config.embedding_scale != 1:
            x = x * self.config.embedding_scale
        x = self.positions.add(x, positions)
        if self.dropout is not None:
            x = self.dropout(x)
        return x.to(self.residual_dtype(x.device))

    def residual_dtype(self, device: torch.device) -> torch.dtype:
        """The format of the residual stream."""
        if device.type == "meta" or not torch.is_autocast_enabled(device.type):  # which meta lacks
            return next(self.parameters()).dtype
        narrow = self.config.residual == "compute"
        return torch.get_autocast_dtype(device.type) if narrow else torch.float32

    def visible(
        self, T: int, window: int | None, mask: Tensor | None, documents: Tensor | None
    ) -> Tensor | None:
        """bool [1 or B, 1, T, T]: what each position sees of all; None where causal.

        window, mask, documents: as in `through`.
        """
        if window is not None and window >= T:
            window = None
        if mask is None and documents is None and window is None:
            return None
        visible = mask
        if mask is None or window is not None:
            device = next(self.parameters()).device
            visible = causal_mask(T, T, device, window=window)[None, None]
            visible = visible if mask is None else visible & mask
        assert visible is not None
        return visible if documents is None else visible & together(documents)

    def layers(self) -> Iterable[tuple[int, nn.Module]]:
        """The blocks that this model computes, from below, and where they stand."""
        return enumerate(self.blocks)

    def through(
        self,
        x: Tensor,
        positions: Tensor,
        *,
        documents: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        implementation: Implementation = "sdpa",
        reports: list[RouterReport] | None = None,
        recompute: bool = False,
    ) -> Tensor:
        """The residual stream after the last of `layers`: [B, T, D], from that before the first.

        positions: as in `forward`. documents: numbered. cache: says itself what is seen.
        """
        T = positions.shape[-1]
        cached = cache is not None
        views = [module(positions, cached=cached) for module in self.positions.views]
        masks: dict[int | None, Tensor | None] = {}
        lent: KeysValues | None = None
        for layer, module in self.layers():
            block = cast(Block, module)  # or what serves in its place; see `infer.fused`
            if block.window not in masks:
                seen = None if cached else self.visible(T, block.window, mask, documents)
                masks[block.window] = seen
            run = recomputed(block) if recompute else block
            x, lent, report = run(
                x,
                view=views[self.positions.view_of[layer]],
                mask=masks[block.window],
                documents=documents,
                cache=cache,
                layer=layer,
                borrowed=lent,
                implementation=implementation,
            )
            if report is not None and reports is not None:
                reports.append(report)
        return x
