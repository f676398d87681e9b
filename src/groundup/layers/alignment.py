"""The attention of recurrent translation: the decoder's state asks which of the encoder's to read.

Bahdanau, Cho and Bengio 2015 score by a small network, Luong, Pham and Manning 2015 by a product.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Bahdanau:
    """score = v · tanh(W s + U h) (2015, appendix A.1.2). width: of the inner layer."""

    width: int

    def build(self, query_width: int, memory_width: int) -> "Alignment":
        return Alignment(AdditiveScore(self, query_width, memory_width))


@dataclass(frozen=True, kw_only=True)
class Luong:
    """score (2015, section 3.1): "dot", s · h; "general", s · W h; "concat", v · tanh(W [s; h])."""

    score: Literal["dot", "general", "concat"] = "general"

    def build(self, query_width: int, memory_width: int) -> "Alignment":
        if self.score == "dot" and query_width != memory_width:
            raise ValueError(
                f"the score dot needs queries as wide as the memory: {query_width} and "
                f"{memory_width} differ"
            )
        if self.score == "concat":
            return Alignment(AdditiveScore(Bahdanau(width=query_width), query_width, memory_width))
        return Alignment(ProductScore(self, query_width, memory_width))


class Alignment(nn.Module):
    """Reads the memory where its scores are high."""

    def __init__(self, score: "AdditiveScore | ProductScore"):
        super().__init__()
        self.score = score

    def keys(self, memory: Tensor) -> Tensor:
        """What each of the memory's rows is compared by, computed once for all queries.

        memory: [B, S, E] → [B, S, W].
        """
        return self.score.memory(memory)

    def forward(
        self, query: Tensor, memory: Tensor, keys: Tensor, real: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """query: [B, D]; memory: [B, S, E]; keys: of the memory; real: bool [B, S], False where it
        is padding.

        Returns what was read [B, E], and the weights [B, S]; of a row that is all padding, zeros.
        """
        scores = self.score(query, keys)
        if real is None:
            weights = scores.softmax(-1)
        else:
            hidden = scores.masked_fill(~real, torch.finfo(scores.dtype).min)
            weights = hidden.softmax(-1) * real
        return (weights[:, None] @ memory)[:, 0], weights


class AdditiveScore(nn.Module):
    """v · tanh(W s + U h): [B, S]. Luong's "concat" is the same with [W; U] as one matrix."""

    def __init__(self, config: Bahdanau, query_width: int, memory_width: int):
        super().__init__()
        self.query = nn.Linear(query_width, config.width, bias=False)
        self.memory = nn.Linear(memory_width, config.width, bias=False)
        self.out = nn.Linear(config.width, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.out(torch.tanh(self.query(query)[:, None] + keys))[..., 0]


class ProductScore(nn.Module):
    """s · h, or s · W h: [B, S]."""

    def __init__(self, config: Luong, query_width: int, memory_width: int):
        super().__init__()
        general = config.score == "general"
        self.memory = nn.Linear(memory_width, query_width, bias=False) if general else nn.Identity()

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return (keys @ query[..., None])[..., 0]
