"""Multi-head latent attention (DeepSeek-AI 2024, "DeepSeek-V2", section 2.1): keys and values are
made from one narrow latent vector a position, which is all that a cache holds.

Positions are told by a separate rotated part of queries and keys, as a rotation between latent and
keys would not let the two matrices be merged.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from groundup.layers.attend import Implementation, attend
from groundup.layers.attention import visible_pairs
from groundup.layers.cache import Bias, Cache, KeysValues
from groundup.layers.norm import RMSNorm
from groundup.layers.rope import Rotation, rotate


@dataclass(frozen=True, kw_only=True)
class Latent:
    """heads: H. rank: width of the latent (d_c). query_rank: of the queries' own latent (d'_c), or
    None for queries straight from x. key_width: of a head's part without position; rope_width: of
    the rotated part, one for all heads; value_width: of a head's values.

    scale: of the products of queries and keys; None for 1/√(key_width + rope_width).
    norm: of the latents. bias: of the projections to the latents and to the output.
    """

    heads: int
    rank: int
    query_rank: int | None = None
    key_width: int
    rope_width: int
    value_width: int
    scale: float | None = None
    norm: RMSNorm = RMSNorm()
    bias: bool = False

    def __post_init__(self) -> None:
        if min(self.heads, self.rank, self.key_width, self.rope_width, self.value_width) < 1:
            raise ValueError("heads, rank and the widths must be positive")
        if self.query_rank is not None and self.query_rank < 1:
            raise ValueError(f"query_rank ({self.query_rank}) must be positive")

    def build(self, width: int) -> "LatentAttention":
        return LatentAttention(self, width)

    @property
    def window(self) -> None:
        """Every query sees all before it."""
        return

    @property
    def rotated_width(self) -> int:
        """The width of what positions rotate."""
        return self.rope_width

    @property
    def cached(self) -> tuple[int, int, int]:
        """Heads and widths of the keys and values that a cache holds: of each position the latent
        and the rotated key behind it, of which the latent serves as value, too."""
        return 1, self.rank + self.rope_width, 0

    def matrix_parameters(self, width: int) -> int:
        """Weights that multiply every token."""
        queries = self.heads * (self.key_width + self.rope_width)
        to_queries = (
            width * queries if self.query_rank is None else self.query_rank * (width + queries)
        )
        to_keys = width * (self.rank + self.rope_width)
        from_latent = self.rank * self.heads * (self.key_width + self.value_width)
        return to_queries + to_keys + from_latent + width * self.heads * self.value_width

    def mixing_flops(self, tokens: int, *, causal: bool) -> int:
        """FLOPs of Q·Kᵀ and of weights·V over one sequence; causal: see `visible_pairs`."""
        pairs = visible_pairs(tokens) if causal else tokens * tokens
        return 2 * pairs * self.heads * (self.key_width + self.rope_width + self.value_width)


class LatentAttention(nn.Module):
    """See `Latent`."""

    def __init__(self, config: Latent, width: int):
        super().__init__()
        self.config = config
        full = config.key_width + config.rope_width
        self.scale = full**-0.5 if config.scale is None else config.scale
        if config.query_rank is None:
            self.query_down, self.query_norm = nn.Identity(), nn.Identity()
            self.query = nn.Linear(width, config.heads * full, bias=False)
        else:
            self.query_down = nn.Linear(width, config.query_rank, bias=config.bias)
            self.query_norm = config.norm.build(config.query_rank)
            self.query = nn.Linear(config.query_rank, config.heads * full, bias=False)
        self.down = nn.Linear(width, config.rank + config.rope_width, bias=config.bias)
        self.norm = config.norm.build(config.rank)
        self.up = nn.Linear(
            config.rank, config.heads * (config.key_width + config.value_width), bias=False
        )
        self.output = nn.Linear(config.heads * config.value_width, width, bias=config.bias)

    def forward(
        self,
        x: Tensor,
        *,
        rotation: Rotation | None = None,
        interleaved: bool = False,
        mask: Tensor | None = None,
        bias: Tensor | Bias | None = None,
        documents: Tensor | None = None,  # noqa: ARG002
        cache: Cache | None = None,
        layer: int = 0,
        borrowed: KeysValues | None = None,  # noqa: ARG002
        implementation: Implementation = "sdpa",
    ) -> tuple[Tensor, KeysValues]:
        """x: [B, T, D] → [B, T, D], and the rotated keys and latents; see `GroupedQueryAttention`.

        With a cache, keys and values are never made: see `_absorbed`.
        """
        B, T, _ = x.shape
        c = self.config
        queries = self.query(self.query_norm(self.query_down(x))).view(B, T, c.heads, -1)
        queries, turned = queries.split((c.key_width, c.rope_width), dim=-1)
        latent, key = self.down(x).split((c.rank, c.rope_width), dim=-1)
        latent, key = self.norm(latent)[:, :, None], key[:, :, None]  # one head
        if rotation is not None:
            turned = rotate(turned, rotation, interleaved=interleaved)
            key = rotate(key, rotation, interleaved=interleaved)
        queries, turned, key, latent = (t.transpose(1, 2) for t in (queries, turned, key, latent))
        if cache is None:
            bias = cast(Tensor | None, bias)
            attended = self._expanded(queries, turned, key, latent, mask, bias, implementation)
        else:
            bias = cast(Bias | None, bias)
            attended = self._absorbed(queries, turned, key, latent, bias, cache, layer)
        return self.output(attended.transpose(1, 2).reshape(B, T, -1)), (key, latent)

    def _expanded(
        self,
        queries: Tensor,
        turned: Tensor,
        key: Tensor,
        latent: Tensor,
        mask: Tensor | None,
        bias: Tensor | None,
        implementation: Implementation,
    ) -> Tensor:
        """Every head's keys and values are made from the latents, then attention as usual.

        queries: [B, H, T, key_width]; turned: [B, H, T, rope_width]; key: [B, 1, S, rope_width];
        latent: [B, 1, S, rank] → [B, H, T, value_width].
        """
        c = self.config
        B, _, S, _ = latent.shape
        made = self.up(latent[:, 0]).view(B, S, c.heads, -1).transpose(1, 2)
        keys, values = made.split((c.key_width, c.value_width), dim=-1)
        return attend(
            torch.cat((queries, turned), dim=-1),
            torch.cat((keys, key.expand(-1, c.heads, -1, -1)), dim=-1),
            values,
            scale=self.scale,
            mask=mask,
            bias=bias,
            implementation=implementation,
        )

    def _absorbed(
        self,
        queries: Tensor,
        turned: Tensor,
        key: Tensor,
        latent: Tensor,
        bias: Bias | None,
        cache: Cache,
        layer: int,
    ) -> Tensor:
        """The same, with the matrices that make keys and values moved to the other side of the
        products: q · (U c) = (Uᵀ q) · c. All heads then read the latents themselves, as in
        multi-query attention, and nothing is made for the positions in the cache (section 2.1.2).
        """
        c = self.config
        weight = self.up.weight.to(queries.dtype).view(c.heads, -1, c.rank)
        key_up, value_up = weight.split((c.key_width, c.value_width), dim=1)
        read = cache.attend(
            layer,
            torch.cat((queries @ key_up, turned), dim=-1),
            torch.cat((latent, key), dim=-1),
            latent,
            scale=self.scale,
            bias=bias,
        )
        return read @ value_up.mT

    def writes(self) -> list[Tensor]:
        """The weights that write to the residual stream."""
        return [self.output.weight]
