"""Attention of single tokens over keys and values in pages (Kwon et al. 2023, section 4.3).

The formula is that of `layers.attend`, over the positions that a token's table names.
"""

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import need

PAGE = 16  # positions of a page
_MOST_HEADS = 256


class Reach:
    """Tokens, and what of their sequences they see: the same for all layers of a kind, so that it
    is looked at once."""

    def __init__(self, tables: Tensor, first: Tensor, last: Tensor):
        """tables: int32 [N, columns], the page of positions 0 … 15, 16 … 31, …; a page's slots
        stand together. first, last: int64 [N]; a token sees the positions from the one up to the
        other, and one at the least."""
        self._tokens, self._columns = tables.shape
        shape = first.shape == last.shape == (self._tokens,)
        need(shape and tables.dtype == torch.int32, "tables are int32, one of each token")
        need(first.dtype == last.dtype == torch.int64, "positions are int64, one of each token")
        self._held = [t.contiguous() for t in (tables, first, last)]
        self._addresses = tuple(tensor.data_ptr() for tensor in self._held)

    def __call__(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        scale: float,
        softcap: float | None = None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        """What each token reads: [N, H, K_v] in the format of the queries.

        queries: [N, H, K], each head's numbers together. keys: [slots, kv_heads, K]; values:
        [slots, kv_heads, K_v], or the beginnings of the keys.
        """
        assert core is not None
        N, H, K = queries.shape
        slots, heads, value_width = values.shape
        rows, numbers, one = values.stride()
        need(keys.shape == (slots, heads, K) and H % heads == 0, "keys and values do not fit")
        need(queries.dtype == keys.dtype == values.dtype, "formats differ")
        need(self._tokens == N and H <= _MOST_HEADS, "tokens or heads are too many")
        dense = keys.is_contiguous() and rows == heads * numbers
        need(dense and queries.stride(2) == one == 1, "a head's numbers stand together")
        if sinks is not None:
            sinks = sinks.float().contiguous()
        y = queries.new_empty(N, H, value_width)
        tables, first, last = self._addresses
        core.reach(
            torch.get_num_threads(),
            queries.dtype == torch.bfloat16,
            queries.data_ptr(),
            keys.data_ptr(),
            values.data_ptr(),
            tables,
            first,
            last,
            0 if sinks is None else sinks.data_ptr(),
            y.data_ptr(),
            N,
            queries.stride(0),
            queries.stride(1),
            H,
            heads,
            K,
            value_width,
            numbers,
            self._columns,
            scale,
            softcap or 0.0,
        )
        return y
