"""The key-value cache of a batch that is generated together.

Prompts of different lengths are padded on the left, so that every row writes its next token into
the same column; a row's padding is hidden by the mask. Columns are allocated once.
"""

import torch
from torch import Tensor

from groundup.layers.shift import one_later
from groundup.models import Decoder


class BatchCache:
    """Keys and values of every layer, [rows, kv_heads, columns, K] each; see `KeyValueCache`."""

    def __init__(self, config: Decoder, padding: Tensor, columns: int, dtype: torch.dtype):
        """padding: integers [rows], how many columns of padding each row begins with."""
        attention = config.attention
        shape = (len(padding), attention.kv_heads, columns, attention.head_width)
        self.keys = [self._empty(shape, padding, dtype) for _ in range(config.depth)]
        self.values = [self._empty(shape, padding, dtype) for _ in range(config.depth)]
        newest = self._empty((len(padding), *shape[1::2]), padding, dtype)  # [rows, kv_heads, K]
        self.newest = [(newest, newest)] * config.depth  # keys and values before shift and rotation
        self.padding = padding
        self.length = 0  # columns that are filled

    def before(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the position before each of the next columns; zeros in the padding."""
        column = torch.arange(self.length, self.length + keys.shape[1], device=keys.device)
        inside = (column > self.padding[:, None])[:, :, None, None]
        last_keys, last_values = self.newest[layer]
        self.newest[layer] = keys[:, -1], values[:, -1]
        return one_later(keys, last_keys) * inside, one_later(values, last_values) * inside

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write behind the filled columns; `advance` moves on once all layers have written."""
        end = self.length + keys.shape[2]
        self.keys[layer][:, :, self.length : end] = keys
        self.values[layer][:, :, self.length : end] = values
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def advance(self, columns: int) -> None:
        self.length += columns

    def positions(self, columns: int) -> Tensor:
        """Positions of the next `columns` tokens of each row: [rows, columns], 0 in the padding."""
        column = torch.arange(self.length, self.length + columns, device=self.padding.device)
        return (column - self.padding[:, None]).clamp(min=0)

    def mask(self, columns: int) -> Tensor:
        """Which of all columns each of the next ones sees: bool [rows, 1, columns, all]."""
        query = torch.arange(self.length, self.length + columns, device=self.padding.device)
        key = torch.arange(self.length + columns, device=self.padding.device)
        causal = key <= query[:, None]
        real = key >= self.padding[:, None]
        # A query in the padding sees itself: its softmax has a finite sum, which nothing reads.
        itself = key == query[:, None]
        return ((causal & real[:, None]) | itself)[:, None]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but `rows` (indices)."""
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]
        self.newest = [(keys[rows], values[rows]) for keys, values in self.newest]
        self.padding = self.padding[rows]

    @staticmethod
    def _empty(shape: tuple[int, ...], padding: Tensor, dtype: torch.dtype) -> Tensor:
        return torch.zeros(shape, dtype=dtype, device=padding.device)
