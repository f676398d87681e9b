"""What the projections of tokens become in one pass: queries, and keys and values in the slots of
a cache; and the gate of a SwiGLU whose halves stand one behind the other. There are no gradients.

The formulas are those of `split_heads` and `silu_gate`.
"""

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import FORMATS, address, call, need
from groundup.kernels.cpu.heads import WIDEST


class Places:
    """N tokens, and where they stand: the same for all layers of a kind, so that it is looked at
    once."""

    def __init__(
        self,
        slots: Tensor,
        rotation: tuple[Tensor, Tensor] | None = None,
        before: Tensor | None = None,
    ):
        """slots: int64 [N], of their keys and values in the cache. rotation: cosine and sine,
        float32 [N, R/2], of pairs (i, i + R/2). before: int64 [N], for models that shift keys and
        values: which of these tokens is the one before, or −1 where nothing is, or −2 − r where
        that was the last token of row r."""
        assert core is not None
        self.tokens = len(slots)
        need(slots.shape == (self.tokens,) and slots.dtype == torch.int64, "slots are int64 [N]")
        self.rotated, cos, sin = 0, None, None
        if rotation is not None:
            cos, sin = (part.contiguous() for part in rotation)
            self.rotated = 2 * cos.shape[-1]
            fits = cos.shape == sin.shape == (self.tokens, self.rotated // 2)
            need(fits and cos.dtype == sin.dtype == torch.float32, "a rotation does not fit")
        self.shifts = before is not None
        fits = before is None or (before.shape == slots.shape and before.dtype == torch.int64)
        need(fits, "what is before is int64 [N]")
        self._held = cos, sin, slots, before  # their addresses are given away
        self.in_core = core.Places(self.tokens, self.rotated, *map(address, self._held))


class TokenHeads:
    """The heads of a layer, as its tokens' projections become queries, keys and values."""

    def __init__(
        self,
        heads: int,
        kv_heads: int,
        width: int,
        *,
        weights: tuple[Tensor | None, Tensor | None] = (None, None),
        eps: float = 0.0,
        shares: tuple[Tensor, Tensor] | None = None,
    ):
        """width: K, of a head. weights: of RMSNorms of queries and keys, float32 [K]; eps: theirs.
        shares: of the token before in keys and in values, float32 [kv_heads]; see `layers.shift`.
        """
        assert core is not None
        need(width <= WIDEST, f"a head of at most {WIDEST} numbers is needed, not {width}")
        for vectors, length in ((weights, width), (shares or (), kv_heads)):
            for vector in vectors:
                fits = vector is None or vector.shape == (length,)
                fits = fits and (vector is None or vector.dtype == torch.float32)
                need(fits, f"weights of norms and shares are float32, {length} of them")
        self.sizes = heads, kv_heads, width
        self.shifts = shares is not None
        self._held = weights, shares  # their addresses are given away
        query, key = map(address, weights)
        of_keys, of_values = map(address, shares or (None, None))
        self.in_core = core.TokenHeads(*self.sizes, query, key, eps, of_keys, of_values)

    @property
    def projected(self) -> int:
        """Numbers of a token's projections."""
        heads, kv_heads, width = self.sizes
        return (heads + 2 * kv_heads) * width

    def keys_values(self, projected: Tensor) -> Tensor:
        """The part of the projections that becomes keys and values: [N, 2·kv_heads, K]."""
        heads, kv_heads, width = self.sizes
        return projected[:, heads * width :].unflatten(-1, (2 * kv_heads, width))

    def check(self, like: Tensor, places: Places, kept: "Kept") -> None:
        """Raises `ValueError` where what is given does not fit. like: of the format."""
        _, kv_heads, width = self.sizes
        need(kept.sizes == (kv_heads, width) and places.rotated <= width, "the heads are others")
        need(kept.dtype == like.dtype and like.dtype in FORMATS, "formats differ")
        known = not self.shifts or (places.shifts and kept.newest is not None)
        need(known, "what is before the tokens is needed")

    def take_in(self, x: Tensor, places: Places, kept: "Kept") -> Tensor:
        """x: [N, (H + 2·kv_heads)·K], each token's queries, keys and values. Returns its queries,
        [N, H, K]; keys and values are written to their slots."""
        assert core is not None
        need(x.shape == (places.tokens, self.projected), "x has not the width of all heads")
        self.check(x, places, kept)
        heads, _, width = self.sizes
        queries = x.new_empty(places.tokens, heads, width)
        core.take_in(
            torch.get_num_threads(),
            x.dtype == torch.bfloat16,
            self.in_core,
            places.in_core,
            kept.in_core,
            address(x),
            queries.data_ptr(),
        )
        return queries


class Kept:
    """What is kept of a layer's tokens, in tensors that stay where they are."""

    def __init__(self, keys: Tensor, values: Tensor, newest: Tensor | None = None):
        """keys, values: [slots, kv_heads, K]. newest: [rows, 2·kv_heads, K], the keys and values of
        each row's last token as projected, where they are shifted."""
        assert core is not None
        _, kv_heads, width = keys.shape
        need(values.shape == keys.shape, "keys and values do not fit")
        need(newest is None or newest.shape[1:] == (2 * kv_heads, width), "the newest do not fit")
        held = (keys, values) if newest is None else (keys, values, newest)
        need(all(tensor.dtype == keys.dtype for tensor in held), "formats differ")
        self.keys, self.values, self.newest = keys, values, newest
        self.sizes, self.dtype = (kv_heads, width), keys.dtype
        self.in_core = core.Kept(address(keys), address(values), address(newest))


def silu_gate_of_rows(x: Tensor) -> Tensor:
    """silu(gate) · up of rows [..., 2·width] of gate and up → [..., width]."""
    assert core is not None
    x = x.contiguous()
    width = x.shape[-1] // 2
    y = x.new_empty(*x.shape[:-1], width)
    call(core.gate_rows, x, x, y, y.numel() // width, width)
    return y
