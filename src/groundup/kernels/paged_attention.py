"""Attention of single tokens over keys and values in pages, in two kernels (Kwon et al. 2023,
section 4.3; split over the positions as in Dao et al. 2023, "Flash-Decoding").

A program reads a part of the positions of one token for the heads that share keys and values; with
few tokens there are several parts, so that every multiprocessor has work. A second kernel joins
them: each part's sum counts by its share of the weights.

What must be read is all keys and values that are seen, 4 · K bytes a position and head in bfloat16,
and that is the time it takes: two products of K numbers for each pair leave the units idle.
"""

import torch
from torch import Tensor

from groundup.kernels.cpu.call import need
from groundup.kernels.cpu.reach import PAGE
from groundup.kernels.launch import Impl, check_device, jit, power_of_two, precision, processors, tl

# Positions that a program has at a time, by the bytes of a key up to which it has so many: as many
# as a GPU for desktops, too, has room for. For narrow keys measured on an H200.
_TILES = {256: 128, 512: 64, 2048: 32, 4096: 16}
_MOST_PARTS = 32
_LOG2_E = tl.constexpr(1.4426950408889634)


class PagedAttention:
    """Tokens, and what of their sequences they see: the same for all layers of a kind.

    As `kernels.cpu.Reach` for a CPU: tables int32 [N, columns], the page of positions 0 … 15, 16 …
    31, …; first, last: int64 [N]; a token sees the positions from the one up to the other, and one
    at the least.
    """

    def __init__(self, tables: Tensor, first: Tensor, last: Tensor, *, impl: Impl):
        self._tables, self._first, self._last = tables, first, last
        self._impl: Impl = impl
        need(tables.dtype == torch.int32, "tables are int32, one of each token")
        need(len(tables) == len(first) == len(last), "tables are of other tokens")

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

        queries: [N, H, K]; keys: [slots, kv_heads, K]; values: [slots, kv_heads, K_v], each head's
        numbers together. sinks: [H], logits that are weighed and not read.
        """
        check_device(self._impl, queries)
        N, H, K = queries.shape
        slots, kv_heads, value_width = values.shape
        need(keys.shape == (slots, kv_heads, K) and H % kv_heads == 0, "keys and values do not fit")
        need(len(self._tables) == N, f"{N} tokens, and tables of {len(self._tables)}")
        need(queries.stride(2) == keys.stride(2) == values.stride(2) == 1, "numbers are apart")
        if self._impl == "reference":
            return self._formula(queries, keys, values, scale, softcap, sinks)
        block, v_block = (power_of_two(max(width, 16)) for width in (K, value_width))
        bytes_of_one = max(block, v_block) * keys.element_size()
        need(bytes_of_one <= max(_TILES), f"heads of at most {max(_TILES)} bytes are needed")
        tile = next(tile for most, tile in _TILES.items() if bytes_of_one <= most)
        parts = self._parts(N * kv_heads, tile, queries.device)
        read = queries.new_empty(N, H, parts, value_width, dtype=torch.float32)
        sums = queries.new_empty(N, H, parts, dtype=torch.float32)
        sizes = {"WIDTH": K, "BLOCK": block, "V_WIDTH": value_width, "V_BLOCK": v_block}
        _read[(N, kv_heads, parts)](
            *(queries, keys, values, self._tables, self._first, self._last, read, sums),
            *(queries.stride()[:2], keys.stride()[:2], values.stride()[:2]),
            *(scale, softcap or 1.0, *self._tables.stride(), H),
            **sizes,
            GROUP=H // kv_heads,
            ROWS=power_of_two(max(H // kv_heads, 16)),  # a GPU's smallest product
            PARTS=parts,
            PAGE=PAGE,
            TILE=tile,
            CAPPED=softcap is not None,
            PRECISION=precision(),
        )
        y = queries.new_empty(N, H, value_width)
        own = sums if sinks is None else sinks.float().contiguous()
        _join[(N, H)](
            *(read, sums, own, y, H),
            V_WIDTH=value_width,
            V_BLOCK=v_block,
            PARTS=parts,
            SINKS=sinks is not None,
        )
        return y

    def _parts(self, programs: int, tile: int, device: torch.device) -> int:
        """So many that there are two programs for each multiprocessor, and a tile for each."""
        wanted = power_of_two(max(1, 2 * processors(device) // programs))
        tiles = power_of_two(-(-self._tables.shape[1] * PAGE // tile))
        return min(wanted, tiles, _MOST_PARTS)

    def _formula(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        scale: float,
        softcap: float | None,
        sinks: Tensor | None,
    ) -> Tensor:
        position = torch.arange(self._tables.shape[1] * PAGE, device=queries.device)
        seen = (position >= self._first[:, None]) & (position < self._last[:, None])
        pages = self._tables.repeat_interleave(PAGE, 1).long()
        slots = torch.where(seen, pages * PAGE + position % PAGE, 0)
        grouped = queries.float().unflatten(1, (keys.shape[1], -1))
        logits = torch.einsum("nhgk,nshk->nhgs", grouped, keys[slots].float()) * scale
        if softcap is not None:
            logits = softcap * torch.tanh(logits / softcap)
        logits = logits.masked_fill(~seen[:, None, None], float("-inf"))
        if sinks is not None:
            own = sinks.float().view(1, keys.shape[1], -1, 1).expand(*logits.shape[:3], 1)
            logits = torch.cat((logits, own), -1)
        weights = logits.softmax(-1)[..., : len(position)]
        read = torch.einsum("nhgs,nshk->nhgk", weights, values[slots].float())
        return read.flatten(1, 2).to(queries.dtype)


@jit
def _read(
    Q, K, V, TABLES, FIRST, LAST, READ, SUMS, q_strides, k_strides, v_strides,
    scale, softcap, token_stride, page_stride, H,
    GROUP: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
    V_WIDTH: tl.constexpr, V_BLOCK: tl.constexpr, PARTS: tl.constexpr, PAGE: tl.constexpr,
    TILE: tl.constexpr, CAPPED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """READ: float32 [N, H, PARTS, V_WIDTH], what a part's weights give, which sum to 1 in it.
    SUMS: float32 [N, H, PARTS], the logarithm to the base 2 of their sum, −∞ of an empty part."""
    token, kv, part = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    first, last = tl.load(FIRST + token), tl.load(LAST + token)
    row, column, v_column = tl.arange(0, ROWS), tl.arange(0, BLOCK), tl.arange(0, V_BLOCK)
    head = kv * GROUP + row
    place = token * q_strides[0] + head[:, None] * q_strides[1] + column[None, :]
    mine = (row < GROUP)[:, None]
    q = tl.load(Q + place, mine & (column < WIDTH)[None, :], other=0.0)
    read = tl.zeros((ROWS, V_BLOCK), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    largest = tl.full((ROWS,), float("-inf"), tl.float32)
    begin, end = first // TILE, (last + TILE - 1) // TILE
    each = (end - begin + PARTS - 1) // PARTS
    begin += part * each
    for tile in range(begin, tl.minimum(begin + each, end)):
        position = tile * TILE + tl.arange(0, TILE)
        seen = (position >= first) & (position < last)
        entry = token * token_stride + position // PAGE * page_stride
        page = tl.load(TABLES + entry, seen, other=0).to(tl.int64)
        slot = page * PAGE + position % PAGE
        there = slot[:, None] * k_strides[0] + kv * k_strides[1] + column[None, :]
        k = tl.load(K + there, seen[:, None] & (column < WIDTH)[None, :], other=0.0)
        logits = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
        if CAPPED:  # tanh, which Triton has not on every device
            logits = softcap * (1 - 2 / (tl.exp(2 * logits / softcap) + 1))
        logits = tl.where(seen[None, :], logits * _LOG2_E, float("-inf"))
        larger = tl.maximum(largest, tl.max(logits, 1))
        base = tl.where(larger == float("-inf"), 0.0, larger)
        p = tl.exp2(logits - base[:, None])
        shrink = tl.exp2(largest - base)
        total = total * shrink + tl.sum(p, 1)
        there = slot[:, None] * v_strides[0] + kv * v_strides[1] + v_column[None, :]
        v = tl.load(V + there, seen[:, None] & (v_column < V_WIDTH)[None, :], other=0.0)
        read = read * shrink[:, None] + tl.dot(p.to(v.dtype), v, input_precision=PRECISION)
        largest = larger
    at = (token * H + head) * PARTS + part
    total = tl.where(total == 0, 1.0, total)  # of an empty part, whose largest is −∞
    tl.store(SUMS + at, largest + tl.log2(total), row < GROUP)
    read = read / total[:, None]
    place = at[:, None] * V_WIDTH + v_column[None, :]
    tl.store(READ + place, read, mine & (v_column < V_WIDTH)[None, :])


@jit
def _join(
    READ, SUMS, OWN, Y, H,
    V_WIDTH: tl.constexpr, V_BLOCK: tl.constexpr, PARTS: tl.constexpr, SINKS: tl.constexpr,
):  # fmt: skip
    """A program has one head of a token. OWN: float32 [H], the sinks."""
    at = tl.program_id(0).to(tl.int64) * H + tl.program_id(1)
    part, column = tl.arange(0, PARTS), tl.arange(0, V_BLOCK)
    sums = tl.load(SUMS + at * PARTS + part)
    largest = tl.max(sums, 0)
    if SINKS:
        own = tl.load(OWN + tl.program_id(1)) * _LOG2_E
        largest = tl.maximum(largest, own)
    weights = tl.exp2(sums - largest)
    total = tl.sum(weights, 0)
    if SINKS:
        total += tl.exp2(own - largest)
    place = (at * PARTS + part)[:, None] * V_WIDTH + column[None, :]
    inside = (column < V_WIDTH)[None, :]
    read = tl.load(READ + place, inside, other=0.0)
    y = tl.sum(read * weights[:, None], 0) / total
    tl.store(Y + at * V_WIDTH + column, y.to(Y.dtype.element_ty), column < V_WIDTH)
