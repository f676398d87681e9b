"""T5's relative position bias (Raffel et al. 2020, section 2.1): a learned number for each head and
for each bucket of distances, added to the attention logits. All layers share it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class RelativeBias:
    """buckets: half of them are for one distance each, the rest grow with its logarithm up to
    `distance`; all that is farther shares the last. causal: a decoder's, which sees none ahead;
    otherwise keys ahead have half of the buckets.
    """

    buckets: int = 32
    distance: int = 128
    causal: bool = True

    def __post_init__(self) -> None:
        exact = self.buckets // (2 if self.causal else 4)
        if not 0 < exact < self.distance:
            raise ValueError(
                f"of {self.buckets} buckets {exact} are for one distance each: there must be some, "
                f"and fewer than distance ({self.distance})"
            )

    def build(self, heads: int) -> "BucketedBias":
        return BucketedBias(self, heads)


class BucketedBias(nn.Module):
    """See `RelativeBias`."""

    def __init__(self, config: RelativeBias, heads: int):
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.zeros(config.buckets, heads))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """queries, keys: positions, integers [T] and [S] → [H, T, S]."""
        bucket = self._bucket(queries[:, None] - keys)
        return F.embedding(bucket, self.weight).permute(2, 0, 1)

    def _bucket(self, behind: Tensor) -> Tensor:
        """behind: how far each key is behind its query, integers [T, S] → its bucket [T, S]."""
        buckets, first = self.config.buckets, torch.zeros_like(behind)
        if self.config.causal:
            behind = behind.clamp(min=0)
        else:
            buckets //= 2
            first = torch.where(behind < 0, buckets, 0)
            behind = behind.abs()
        exact = buckets // 2
        growth = torch.log(behind.clamp(min=1).float() / exact) / math.log(
            self.config.distance / exact
        )
        far = exact + (growth * (buckets - exact)).long()
        return first + torch.where(behind < exact, behind, far.clamp(max=buckets - 1))
