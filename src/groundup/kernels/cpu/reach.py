"""Attention of single tokens over keys and values in pages (Kwon et al. 2023, section 4.3).

The formula is that of `layers.attend`, over the positions that a token's table names.
"""

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call, need

PAGE = 16  # positions of a page


def reach(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    tables: Tensor,
    first: Tensor,
    last: Tensor,
    *,
    scale: float,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """What each token reads: [N, H, K_v] in the format of the queries.

    queries: [N, H, K], each head's numbers together. keys: [slots, kv_heads, K];
    values: [slots, kv_heads, K_v], or the beginnings of the keys. tables: int32 [N, columns], the
    page of positions 0 … 15, 16 … 31, …; a page's slots stand together. first, last: int64 [N]; a
    token sees the positions from the one up to the other, and one at the least.
    """
    assert core is not None
    N, H, K = queries.shape
    _, heads, value_width = values.shape
    columns = tables.shape[1]
    fits = keys.shape[1:] == (heads, K) and H % heads == 0 and keys.dtype == queries.dtype
    need(H <= 256, "at most 256 heads are read")
    need(fits and values.dtype == keys.dtype and len(values) == len(keys), "keys do not fit")
    shape = tables.shape == (N, columns) and first.shape == last.shape == (N,)
    need(shape and tables.dtype == torch.int32, "tables are int32, one of each token")
    need(first.dtype == last.dtype == torch.int64, "positions are int64, one of each token")
    need(queries.stride(2) == 1 and values.stride(2) == 1, "a head's numbers stand together")
    need(values.stride(0) == heads * values.stride(1), "slots stand one behind the other")
    sinks = None if sinks is None else sinks.float().contiguous()
    y = queries.new_empty(N, H, value_width)
    call(
        core.reach,
        y,
        queries.data_ptr(),
        keys,
        values.data_ptr(),
        tables,
        first,
        last,
        sinks,
        y,
        N,
        queries.stride(0),
        queries.stride(1),
        H,
        heads,
        K,
        value_width,
        values.stride(1),
        columns,
        scale,
        softcap or 0.0,
    )
    return y
