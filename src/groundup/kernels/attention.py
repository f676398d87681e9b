"""Softmax attention that never holds the square of queries and keys (FlashAttention-2, Dao 2023).

    o = softmax(scale · q kᵀ) v        lse = log Σ exp(scale · q kᵀ)

Forward stores o and, of each query, lse. Backward computes the weights p = exp(logits − lse) anew,
tile by tile; with δ = Σ o · do of each query (section 2.2 there),

    dv = pᵀ do        ds = p · (do vᵀ − δ)        dq = scale · ds k        dk = scale · dsᵀ q

Of each visible pair of a query and a key, forward computes two products of K numbers, 4 · K FLOPs;
backward seven, 14 · K, since logits and do vᵀ are computed once for dk and dv and once for dq, and
so nothing is summed in memory. In bfloat16 forward moves 8 · K bytes a position and head, backward
26 · K, as far as tiles find the keys and values that others have read in the cache; the weights
themselves would be 2 bytes a pair, several times over.

The kernels are in `kernels.flash_attention`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.kernels import flash_attention
from groundup.kernels.cpu.call import first_order, need
from groundup.kernels.launch import Impl, as_autocast, check_device, power_of_two, precision

# Queries and keys of a tile, warps, and loads on their way; by the head's width in bfloat16 and
# float16, and of any width in float32. Those of 64 and 128 were measured on an H200
# (docs/benchmarks/kernels.md); the others, compiled for an H100, spill few registers or none.
_FORWARD = {64: (64, 64, 4, 3), 128: (64, 64, 4, 3), 256: (64, 64, 8, 2)}
_KEYS = {64: (64, 64, 4, 3), 128: (64, 128, 8, 3), 256: (32, 32, 8, 1)}
_QUERIES = {64: (128, 64, 8, 3), 128: (128, 64, 8, 3), 256: (64, 32, 4, 2)}
_FLOAT32 = (32, 32, 8, 1)
WIDEST = 256
_MOST_HEADS = 65_535  # as many rows as a grid of programs can have


@dataclass(frozen=True, kw_only=True)
class Mask:
    """Which keys a query sees.

    Query i stands at the position i + offset of the keys, and sees key j if 0 ≤ i + offset − j,
    less than `window` where there is one. So offset is 0 where queries and keys are the same
    positions, S − T where queries are the last T, and S or more where all keys are before them, as
    in a ring of processes that hold a part of the positions each.
    documents: int32 [B, T] of the queries and [B, S] of the keys; only equal numbers see each
    other.
    """

    offset: int
    window: int | None = None
    documents: tuple[Tensor, Tensor] | None = None

    def pairs(self, queries: int, keys: int, device: torch.device) -> Tensor:
        """bool [1 or B, 1, 1, T, S], of which attention computes what is True."""
        position = torch.arange(queries, device=device)[:, None] + self.offset
        behind = position - torch.arange(keys, device=device)
        seen = (behind >= 0) if self.window is None else (behind >= 0) & (behind < self.window)
        if self.documents is None:
            return seen[None, None, None]
        own, others = self.documents
        return seen & (own[:, None, None, :, None] == others[:, None, None, None, :])


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    window: int | None = None,
    documents: Tensor | None = None,
    impl: Impl,
) -> Tensor:
    """What each query reads, [B, H, T, K]; zeros where it sees nothing.

    q: [B, H, T, K], the last T of S positions; k, v: [B, kv_heads, S, K]; K is at most 256. Each
    sees itself and what is before it. scale: of their products; positive, for the kernel.
    window: how many positions it sees at most, itself included. documents: integers [B, S]; only
    equal numbers see each other.
    Under autocast it computes in autocast's format.

    Raises `InputError` where `impl` cannot run on q's device.
    """
    q, k, v = as_autocast(q, k, v)
    T, S = q.shape[2], k.shape[2]
    pair = None
    if documents is not None:
        need(documents.shape == (len(q), S), f"documents {documents.shape} of keys {k.shape}")
        keys = documents.to(torch.int32).contiguous()
        pair = keys[:, S - T :].contiguous(), keys
    mask = Mask(offset=S - T, window=window, documents=pair)
    with torch.autocast(q.device.type, enabled=False):  # the reference's products are in float32
        return _Attention.apply(q, k, v, mask, scale, impl)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Mask, scale: float, impl: Impl
    ) -> Tensor:
        o, lse = attention_forward(q, k, v, mask, scale=scale, impl=impl)
        ctx.save_for_backward(q, k, v, o, lse)
        ctx.mask, ctx.scale, ctx.impl = mask, scale, impl
        return o

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, o, lse = ctx.saved_tensors
        dq, dk, dv = attention_backward(
            q, k, v, o, lse, grads[0], ctx.mask, scale=ctx.scale, impl=ctx.impl
        )
        return dq, dk, dv, None, None, None


def attention_forward(
    q: Tensor, k: Tensor, v: Tensor, mask: Mask, *, scale: float, impl: Impl
) -> tuple[Tensor, Tensor]:
    """o, of q's shape and format, and lse, float32 [B, H, T], −∞ where a query sees nothing.

    Two parts of the keys give two such pairs, from which that of all keys follows.
    """
    _check(q, k, v, mask, scale, impl)
    if impl == "reference":
        logits = _logits(q, k, mask, scale)
        lse = logits.logsumexp(-1)
        o = _weights(logits, lse) @ v.float()[:, :, None]
        return o.flatten(1, 2).to(q.dtype), lse.flatten(1, 2)
    B, H, T, _ = q.shape
    q, k, v = map(_rows_dense, (q, k, v))
    o = torch.empty_like(q)
    lse = torch.empty(B, H, T, dtype=torch.float32, device=q.device)
    arrays = (q, k, v, o, lse, *_documents(mask, q))
    strides = (x.stride()[:3] for x in (q, k, v, o))
    blocks, options = _launch(_FORWARD, q, k, mask)
    flash_attention.forward[(-(-T // blocks["M"]), B * H)](
        *arrays, *strides, scale, H, T, k.shape[2], mask.offset, mask.window or 0, **options
    )
    return o, lse


def attention_backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    o: Tensor,
    lse: Tensor,
    do: Tensor,
    mask: Mask,
    *,
    scale: float,
    impl: Impl,
) -> tuple[Tensor, Tensor, Tensor]:
    """dq, dk and dv.

    o, lse: of all keys that the queries see. Where k and v are a part of those, dq is that part's.
    """
    _check(q, k, v, mask, scale, impl)
    if impl == "reference":
        return _reference_backward(q, k, v, o, lse, do, mask, scale)
    B, H, T, K = q.shape
    kv_heads, S = k.shape[1:3]
    q, k, v, o, do = map(_rows_dense, (q, k, v, o, do))
    lse = lse.contiguous()
    dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
    delta = torch.empty_like(lse)
    block = power_of_two(max(K, 16))
    flash_attention.delta[(-(-T // 64), B * H)](
        o, do, delta, o.stride()[:3], do.stride()[:3], H, T, WIDTH=K, BLOCK=block, M=64
    )
    inputs, documents = (q, k, v, do, lse, delta), _documents(mask, q)
    strides = [x.stride()[:3] for x in (q, k, v, do)]
    sizes = (scale, H, T, S, mask.offset, mask.window or 0)
    blocks, options = _launch(_KEYS, q, k, mask)
    flash_attention.backward_keys[(-(-S // blocks["N"]), B * kv_heads)](
        *inputs, dk, dv, *documents, *strides, dk.stride()[:3], dv.stride()[:3], *sizes, **options
    )
    blocks, options = _launch(_QUERIES, q, k, mask)
    flash_attention.backward_queries[(-(-T // blocks["M"]), B * H)](
        *inputs, dq, *documents, *strides, dq.stride()[:3], *sizes, **options
    )
    return dq, dk, dv


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Mask, scale: float, impl: Impl) -> None:
    check_device(impl, q)
    B, H, T, K = q.shape
    kv_heads, S = k.shape[1:3]
    many = B * H <= _MOST_HEADS or impl == "reference"
    need(many, f"a kernel has at most {_MOST_HEADS:,} heads of all sequences, not {B * H:,}")
    fits = k.shape == v.shape == (B, kv_heads, S, K) and H % kv_heads == 0 and K <= WIDEST
    need(fits, f"queries {tuple(q.shape)}, keys {tuple(k.shape)} and values {tuple(v.shape)}")
    need(scale > 0 or impl == "reference", f"a kernel needs a positive scale, not {scale}")
    need(q.dtype == k.dtype == v.dtype, f"formats {q.dtype}, {k.dtype} and {v.dtype}")
    if mask.documents is not None:
        shapes = [tuple(part.shape) for part in mask.documents]
        need(shapes == [(B, T), (B, S)], f"documents {shapes} of {T} queries and {S} keys")


def _rows_dense(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _documents(mask: Mask, unread: Tensor) -> tuple[Tensor, Tensor]:
    if mask.documents is None:
        return unread, unread
    own, others = mask.documents
    return own.contiguous(), others.contiguous()


def _launch(
    table: dict[int, tuple[int, int, int, int]], q: Tensor, k: Tensor, mask: Mask
) -> tuple[dict[str, int], dict[str, Any]]:
    """Tiles, and all that a kernel is compiled for."""
    block = power_of_two(max(q.shape[-1], 16))  # a GPU's smallest product
    narrow = q.dtype != torch.float32
    M, N, warps, stages = table[max(block, min(table))] if narrow else _FLOAT32
    tiles = {"M": M, "N": N}
    return tiles, {
        **tiles,
        "GROUP": q.shape[1] // k.shape[1],
        "WIDTH": q.shape[-1],
        "BLOCK": block,
        "WINDOWED": mask.window is not None,
        "DOCUMENTS": mask.documents is not None,
        "PRECISION": precision(),
        "num_warps": warps,
        "num_stages": stages,
    }


def _logits(q: Tensor, k: Tensor, mask: Mask, scale: float) -> Tensor:
    """float32 [B, kv_heads, H / kv_heads, T, S], −∞ where a query does not see."""
    grouped = q.float().unflatten(1, (k.shape[1], -1))
    logits = scale * (grouped @ k.float().mT[:, :, None])
    return logits.masked_fill(~mask.pairs(q.shape[2], k.shape[2], q.device), float("-inf"))


def _weights(logits: Tensor, lse: Tensor) -> Tensor:
    """exp(logits − lse), zeros where a query sees nothing."""
    return (logits - lse.masked_fill(lse == float("-inf"), 0.0)[..., None]).exp()


def _reference_backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    o: Tensor,
    lse: Tensor,
    do: Tensor,
    mask: Mask,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    q32, o32, do32, lse = (x.unflatten(1, (k.shape[1], -1)).float() for x in (q, o, do, lse))
    k32, v32 = (x.float()[:, :, None] for x in (k, v))
    p = _weights(_logits(q, k, mask, scale), lse)
    delta = (o32 * do32).sum(-1, keepdim=True)
    ds = scale * p * (do32 @ v32.mT - delta)
    dq, dk, dv = ds @ k32, ds.mT @ q32, p.mT @ do32
    return dq.flatten(1, 2).to(q.dtype), dk.sum(2).to(k.dtype), dv.sum(2).to(v.dtype)
