"""Grouped-query attention (Ainslie et al. 2023): several query heads share one key-value head.

With as many key-value heads as query heads it is multi-head attention (Vaswani et al. 2017); with
one it is multi-query attention (Shazeer 2019).
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from groundup.layers.attend import Implementation, attend
from groundup.layers.cache import Bias, Cache, KeysValues
from groundup.layers.heads import split_heads
from groundup.layers.norm import Norm, RMSNorm, build_norm
from groundup.layers.rope import Rotation
from groundup.layers.shift import HeadShift


@dataclass(frozen=True, kw_only=True)
class GroupedQuery:
    """heads: query heads. kv_heads: key-value heads; they divide `heads`. head_width: K.

    query_key_norm: normalises each head's queries and keys before they are rotated (Henry et al.
    2020), which keeps the attention logits bounded, so that high learning rates stay stable.
    bias, output_bias: of the projections to queries, keys and values, and of that to the output.
    window: how many positions a query sees, itself included (Beltagy et al. 2020, "Longformer",
    section 3.1); None for all before it.
    scale: of the products of queries and keys; None for 1/√K.
    softcap, sinks: see `attend`.
    shift: let each key-value head mix in the token before, which makes copying easy to learn; see
    `layers.shift`.
    borrow: attend to the keys and values of the layer below, and have none of its own to normalise
    or to shift (Brandon et al. 2024, "Reducing transformer key-value cache size with cross-layer
    attention").
    """

    heads: int
    kv_heads: int
    head_width: int
    query_key_norm: Norm | None = RMSNorm()
    bias: bool = False
    output_bias: bool = False
    window: int | None = None
    scale: float | None = None
    softcap: float | None = None
    sinks: bool = False
    shift: bool = False
    borrow: bool = False

    def __post_init__(self) -> None:
        if min(self.heads, self.kv_heads, self.head_width) < 1:
            raise ValueError("heads, kv_heads and head_width must be positive")
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads ({self.kv_heads}) must divide heads ({self.heads})")
        if self.window is not None and self.window < 1:
            raise ValueError(f"window ({self.window}) must be positive")

    def build(self, width: int) -> "GroupedQueryAttention":
        return GroupedQueryAttention(self, width)

    @property
    def rotated_width(self) -> int:
        """The width of what positions rotate."""
        return self.head_width

    @property
    def cached(self) -> tuple[int, int, int] | None:
        """Heads and widths of the keys and values that a cache holds."""
        return None if self.borrow else (self.kv_heads, self.head_width, self.head_width)

    def matrix_parameters(self, width: int) -> int:
        """Weights that multiply every token."""
        own = 0 if self.borrow else 2 * self.kv_heads
        return width * self.head_width * (2 * self.heads + own)

    def mixing_flops(self, tokens: int, *, causal: bool) -> int:
        """FLOPs of Q·Kᵀ and of weights·V over one sequence; causal: see `visible_pairs`."""
        pairs = visible_pairs(tokens, self.window) if causal else tokens * tokens
        return 4 * pairs * self.heads * self.head_width


def visible_pairs(tokens: int, window: int | None = None) -> int:
    """How many (query, key) pairs a causal model needs; window: as in `GroupedQuery`."""
    full = tokens if window is None else min(tokens, window)
    return full * (full + 1) // 2 + (tokens - full) * full


class GroupedQueryAttention(nn.Module):
    """Queries, keys and values from x; attention; output projection."""

    def __init__(self, config: GroupedQuery, width: int):
        super().__init__()
        self.config = config
        self.scale = config.head_width**-0.5 if config.scale is None else config.scale
        query_width = config.heads * config.head_width
        key_width = config.kv_heads * config.head_width
        own = not config.borrow
        self.query = nn.Linear(width, query_width, bias=config.bias)
        self.key = nn.Linear(width, key_width, bias=config.bias) if own else None
        self.value = nn.Linear(width, key_width, bias=config.bias) if own else None
        self.output = nn.Linear(query_width, width, bias=config.output_bias)
        self.query_norm = build_norm(config.query_key_norm, config.head_width)
        self.key_norm = build_norm(config.query_key_norm if own else None, config.head_width)
        shift = config.shift and own
        self.key_shift = HeadShift(config.kv_heads, share=0.5) if shift else None
        self.value_shift = HeadShift(config.kv_heads, share=0.0) if shift else None
        self.sinks = nn.Parameter(torch.zeros(config.heads)) if config.sinks else None

    def forward(
        self,
        x: Tensor,
        *,
        rotation: Rotation | None = None,
        interleaved: bool = False,
        mask: Tensor | None = None,
        bias: Tensor | Bias | None = None,
        documents: Tensor | None = None,
        cache: Cache | None = None,
        layer: int = 0,
        borrowed: KeysValues | None = None,
        implementation: Implementation = "sdpa",
    ) -> tuple[Tensor, KeysValues]:
        """x: [B, T, D] → [B, T, D], and the keys and values that it attended to.

        rotation, interleaved: see `layers.rope`; None leaves queries and keys as they are.
        mask: bool [1 or B, 1, T, T], True where a query sees a key; None is causal.
        bias: added to the attention logits, [H, T, T]; with a cache, of given positions.
        documents: integers [B, T], that no shift crosses; the mask keeps them apart already.
        cache: has what stands before x, and says what each query sees; without, all is in x.
        borrowed: the keys and values of the layer below, for a layer that borrows.
        """
        B, T, _ = x.shape
        queries = split_heads(
            self.query(x).view(B, T, -1, self.config.head_width),
            self.query_norm,
            rotation=rotation,
            interleaved=interleaved,
        )
        if borrowed is None:
            keys, values = self._keys_values(x, rotation, interleaved, documents, cache, layer)
        else:
            keys, values = borrowed
        if cache is None:
            attended = attend(
                queries,
                keys,
                values,
                scale=self.scale,
                mask=mask,
                bias=cast(Tensor | None, bias),
                softcap=self.config.softcap,
                sinks=self.sinks,
                implementation=implementation,
            )
        else:
            attended = cache.attend(
                layer,
                queries,
                keys,
                values,
                scale=self.scale,
                window=self.config.window,
                bias=cast(Bias | None, bias),
                softcap=self.config.softcap,
                sinks=self.sinks,
            )
        return self.output(attended.transpose(1, 2).reshape(B, T, -1)), (keys, values)

    def project(self, memory: Tensor, documents: Tensor | None = None) -> KeysValues:
        """The keys and values of another sequence, to be `borrowed`: cross-attention.

        memory: [B, S, D]; documents: integers [B, S] → [B, kv_heads, S, K] each.
        """
        return self._keys_values(memory, None, False, documents, None, 0)

    def _keys_values(
        self,
        x: Tensor,
        rotation: Rotation | None,
        interleaved: bool,
        documents: Tensor | None,
        cache: Cache | None,
        layer: int,
    ) -> KeysValues:
        """Keys and values of x, [B, kv_heads, T, K] each, shifted; keys normalised and rotated."""
        if self.key is None or self.value is None:
            raise ValueError("a layer that borrows keys and values stands above one that has them")
        B, T, _ = x.shape
        keys = self.key(x).view(B, T, -1, self.config.head_width)
        values = self.value(x).view(B, T, -1, self.config.head_width)
        before: tuple[Tensor | None, Tensor | None] = (None, None)
        if cache is not None and self.key_shift is not None:
            before = cache.before(layer, keys, values)
        keys = split_heads(
            keys,
            self.key_norm,
            rotation=rotation,
            interleaved=interleaved,
            shift=self.key_shift,
            before=before[0],
            documents=documents,
        )
        values = split_heads(
            values, nn.Identity(), shift=self.value_shift, before=before[1], documents=documents
        )
        return keys, values

    def writes(self) -> list[Tensor]:
        """The weights that write to the residual stream."""
        return [self.output.weight]
