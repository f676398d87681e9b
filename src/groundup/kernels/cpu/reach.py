"""Attention of single tokens over keys and values in pages (Kwon et al. 2023, section 4.3).

The formula is that of `layers.attend`, over the positions that a token's table names.
"""

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import address, need

PAGE = 16  # positions of a page
MOST_HEADS = 256


class Reach:
    """Tokens, and what of their sequences they see: the same for all layers of a kind, so that it
    is looked at once."""

    def __init__(self, tables: Tensor, first: Tensor, last: Tensor):
        """tables: int32 [N, columns], the page of positions 0 … 15, 16 … 31, …; a page's slots
        stand together. first, last: int64 [N]; a token sees the positions from the one up to the
        other, and one at the least."""
        assert core is not None
        self.tokens, columns = tables.shape
        shape = first.shape == last.shape == (self.tokens,)
        need(shape and tables.dtype == torch.int32, "tables are int32, one of each token")
        need(first.dtype == last.dtype == torch.int64, "positions are int64, one of each token")
        self._held = [t.contiguous() for t in (tables, first, last)]
        table, begin, end = map(address, self._held)
        self.pages = core.Pages(table, begin, end, columns)

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
        need(self.tokens == N and H <= MOST_HEADS, "tokens or heads are too many")
        dense = keys.is_contiguous() and rows == heads * numbers
        need(dense and queries.stride(2) == one == 1, "a head's numbers stand together")
        if sinks is not None:
            sinks = sinks.float().contiguous()
        softcap = softcap or 0.0
        reading = core.Reading(H, heads, K, value_width, numbers, scale, softcap, address(sinks))
        y = queries.new_empty(N, H, value_width)
        core.reach(
            torch.get_num_threads(),
            queries.dtype == torch.bfloat16,
            reading,
            self.pages,
            keys.data_ptr(),
            values.data_ptr(),
            queries.data_ptr(),
            N,
            queries.stride(0),
            queries.stride(1),
            y.data_ptr(),
        )
        return y
