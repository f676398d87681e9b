"""What the projections of tokens become in one pass: queries, and keys and values in the slots of
a cache; and the gate of a SwiGLU whose halves stand one behind the other. There are no gradients.

The formulas are those of `split_heads` and `silu_gate`.
"""

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call, need
from groundup.kernels.cpu.heads import WIDEST


def take_in(
    x: Tensor,
    slots: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    heads: int,
    weights: tuple[Tensor | None, Tensor | None] = (None, None),
    eps: float = 0.0,
    rotation: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """x: [N, (H + 2·kv_heads)·K], each token's queries, keys and values. Returns its queries,
    [N, H, K]; keys and values are written to their slots.

    slots: int64 [N]. keys, values: [slots, kv_heads, K]. weights: of RMSNorms of queries and keys,
    float32 [K]; eps: theirs. rotation: cosine and sine, float32 [N, R/2], of pairs (i, i + R/2).
    """
    assert core is not None
    N, (_, kv_heads, K) = len(x), keys.shape
    need(x.shape[1] == (heads + 2 * kv_heads) * K, "x has not the width of all heads")
    need(K <= WIDEST, f"a head of at most {WIDEST} numbers is needed, not {K}")
    need(values.shape == keys.shape and keys.dtype == values.dtype == x.dtype, "formats differ")
    need(slots.shape == (N,) and slots.dtype == torch.int64, "a slot for each token is needed")
    for weight in weights:
        need(weight is None or (weight.shape == (K,) and weight.dtype == torch.float32), "weights")
    rotated, cos, sin = 0, None, None
    if rotation is not None:
        cos, sin = rotation
        rotated = 2 * cos.shape[-1]
        fits = cos.shape == sin.shape == (N, rotated // 2) and rotated <= K
        need(fits and cos.dtype == sin.dtype == torch.float32, "a rotation does not fit")
    queries = x.new_empty(N, heads, K)
    sizes = (N, heads, kv_heads, K, rotated)
    call(core.take_in, x, x, *weights, cos, sin, slots, queries, keys, values, *sizes, eps)
    return queries


def silu_gate_of_rows(x: Tensor) -> Tensor:
    """silu(gate) · up of rows [..., 2·width] of gate and up → [..., width]."""
    assert core is not None
    x = x.contiguous()
    width = x.shape[-1] // 2
    y = x.new_empty(*x.shape[:-1], width)
    call(core.gate_rows, x, x, y, y.numel() // width, width)
    return y
