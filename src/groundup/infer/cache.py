"""The key-value cache of a batch that is generated together.

Prompts of different lengths are padded on the left, so that every row writes its next token into
the same column; a row's padding is hidden by the mask. Columns are allocated once.
"""

from typing import Any

import torch
from torch import Tensor

from groundup.layers.attention import KeysValues
from groundup.layers.shift import one_later
from groundup.models import Decoder


class BatchCache:
    """Keys and values of every layer, [rows, heads, columns, width] each; see `KeyValueCache`."""

    def __init__(self, config: Decoder, padding: Tensor, columns: int, dtype: torch.dtype):
        """padding: integers [rows], how many columns of padding each row begins with."""
        device = padding.device
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self.newest: dict[int, KeysValues] = {}  # of the last column, before shift and rotation
        for layer in range(config.depth):
            cached = config.attention_of(layer).cached
            if cached is None:
                continue
            heads, *widths = cached
            key, value = (
                torch.zeros(len(padding), heads, columns, width, dtype=dtype, device=device)
                for width in widths
            )
            self.keys[layer], self.values[layer] = key, value
            self.newest[layer] = key[:, :, 0], value[:, :, 0]
        self.states: dict[int, Any] = {}  # of layers that have neither keys nor values
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

    def real(self, columns: int) -> Tensor:
        """Which of the next columns are not padding: bool [rows, columns]."""
        column = torch.arange(self.length, self.length + columns, device=self.padding.device)
        return column >= self.padding[:, None]

    def state(self, layer: int) -> Any:
        return self.states.get(layer)

    def keep_state(self, layer: int, state: Any) -> None:
        self.states[layer] = state

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
        self.keys = {layer: keys[rows] for layer, keys in self.keys.items()}
        self.values = {layer: values[rows] for layer, values in self.values.items()}
        self.states = {
            layer: type(state)(*(part[rows] for part in state))
            for layer, state in self.states.items()
        }
        self.newest = {
            layer: (keys[rows], values[rows]) for layer, (keys, values) in self.newest.items()
        }
        self.padding = self.padding[rows]
