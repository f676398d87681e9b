"""Grouped-query attention (Ainslie et al. 2023): several query heads share one key-value head.

With as many key-value heads as query heads it is multi-head attention (Vaswani et al. 2017); with
one it is multi-query attention (Shazeer 2019).
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers.norm import RMSNorm
from groundup.layers.rotary import rotate
from groundup.layers.shift import HeadShift, one_later

Implementation = Literal["sdpa", "blockwise"]


@dataclass(frozen=True, kw_only=True)
class GroupedQuery:
    """heads: query heads. kv_heads: key-value heads; they divide `heads`. head_width: K.

    query_key_norm: RMS-normalise queries and keys before they are rotated (Henry et al. 2020),
    which keeps the attention logits bounded, so that high learning rates stay stable.
    shift: let each key-value head mix in the token before, which makes copying easy to learn; see
    `layers.shift`.
    """

    heads: int
    kv_heads: int
    head_width: int
    query_key_norm: bool = True
    shift: bool = False

    def __post_init__(self) -> None:
        if min(self.heads, self.kv_heads, self.head_width) < 1:
            raise ValueError("heads, kv_heads and head_width must be positive")
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads ({self.kv_heads}) must divide heads ({self.heads})")

    def build(self, width: int) -> "GroupedQueryAttention":
        return GroupedQueryAttention(self, width)


class KeyValueCache(Protocol):
    """What attention needs of a cache: add the newest keys and values, get all so far."""

    def before(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values, as projected, of the position before each; zeros before the first.

        keys, values: [B, T_new, kv_heads, K] → the same shapes.
        """
        ...

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """keys, values: [B, kv_heads, T_new, K] → all so far, [B, kv_heads, T_all, K]."""
        ...


class GroupedQueryAttention(nn.Module):
    """Queries, keys and values from x; causal attention; output projection. No biases."""

    def __init__(self, config: GroupedQuery, width: int):
        super().__init__()
        self.config = config
        query_width = config.heads * config.head_width
        key_width = config.kv_heads * config.head_width
        self.query = nn.Linear(width, query_width, bias=False)
        self.key = nn.Linear(width, key_width, bias=False)
        self.value = nn.Linear(width, key_width, bias=False)
        self.output = nn.Linear(query_width, width, bias=False)
        self.query_norm = RMSNorm().build(config.head_width) if config.query_key_norm else None
        self.key_norm = RMSNorm().build(config.head_width) if config.query_key_norm else None
        self.key_shift = HeadShift(config.kv_heads, share=0.5) if config.shift else None
        self.value_shift = HeadShift(config.kv_heads, share=0.0) if config.shift else None

    def forward(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor],
        *,
        mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
        implementation: Implementation = "sdpa",
    ) -> Tensor:
        """x: [B, T, D] → [B, T, D].

        mask: bool [B, 1, T, T_all], True where a query sees a key; None is causal.
        cache: holds the keys and values of earlier positions; None attends within x.
        """
        B, T, _ = x.shape
        K = self.config.head_width
        queries = self.query(x).view(B, T, -1, K)
        keys = self.key(x).view(B, T, -1, K)
        values = self.value(x).view(B, T, -1, K)
        if self.key_shift is not None and self.value_shift is not None:
            before = (
                (one_later(keys), one_later(values))
                if cache is None
                else cache.before(layer, keys, values)
            )
            keys, values = self.key_shift(keys, before[0]), self.value_shift(values, before[1])
        if self.query_norm is not None and self.key_norm is not None:
            queries, keys = self.query_norm(queries), self.key_norm(keys)
        queries = rotate(queries, rotation).transpose(1, 2)
        keys, values = rotate(keys, rotation).transpose(1, 2), values.transpose(1, 2)
        if cache is not None:
            keys, values = cache.append(layer, keys, values)
        if implementation == "blockwise" and mask is None:
            attended = attend_blockwise(queries, keys, values)
        else:
            attended = F.scaled_dot_product_attention(
                queries, keys, values, attn_mask=mask, is_causal=mask is None, enable_gqa=True
            )
        return self.output(attended.transpose(1, 2).reshape(B, T, -1))


def attend_blockwise(queries: Tensor, keys: Tensor, values: Tensor, block: int = 256) -> Tensor:
    """Causal softmax attention, written out as matrix products over blocks of queries.

    Block i of the queries meets only the keys that it may see, so that about half of the square is
    skipped. For training on a CPU: torch's fused attention is fast forward, but its backward pass
    reached a tenth of the machine's matrix rate (16 × 6 heads of 256 × 64, bfloat16, two cores:
    31 ms forward and backward, this under `torch.compile` 17 ms).

    queries: [B, H, T, K]; keys, values: [B, kv_heads, T, K] → [B, H, T, K].
    """
    B, H, T, K = queries.shape
    groups = H // keys.shape[1]
    keys = keys.repeat_interleave(groups, dim=1).reshape(B * H, T, K)
    values = values.repeat_interleave(groups, dim=1).reshape(B * H, T, K)
    queries = (queries * K**-0.5).reshape(B * H, T, K)
    blocks = []
    for start in range(0, T, block):
        stop = min(start + block, T)
        scores = torch.bmm(queries[:, start:stop], keys[:, :stop].mT).float()
        row = torch.arange(start, stop, device=queries.device)[:, None]
        column = torch.arange(stop, device=queries.device)
        weights = scores.masked_fill(column > row, float("-inf")).softmax(-1)
        blocks.append(torch.bmm(weights.to(values.dtype), values[:, :stop]))
    return torch.cat(blocks, dim=1).view(B, H, T, K)
