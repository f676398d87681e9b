"""What the projections of tokens become in one pass over a cache: queries, and keys and values in
its slots. There are no gradients: a model that generates has none.

    k ← k + s · (k' − k)   and so v, of heads that mix in the token before; see `layers.shift`
    x ← x · ρ · w          RMSNorm of each head of queries and of keys; see `kernels.rms_norm`
    x ← rotated            queries and keys, by pairs (i, i + R/2); see `kernels.rotary`

One program has one head of one token, whose numbers it reads once (and once more, from the cache of
its multiprocessor, as each other's partners in a rotation). What is moved is 4 bytes a number in
bfloat16. One operation after the other, PyTorch would launch some twenty kernels, each of which
takes a GPU longer to begin than to do for a few tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.kernels.cpu.call import need
from groundup.kernels.launch import Impl, check_device, jit, power_of_two, tl


@dataclass(frozen=True)
class Places:
    """N tokens, and where they stand: the same for all layers of a kind. As `kernels.cpu.Places`.

    slots: int64 [N], of their keys and values in the cache. rotation: cosine and sine, float32
    [N, R/2]. before: int64 [N], where heads are shifted: which of these tokens is the one before,
    or −1 where nothing is, or −2 − r where that was the last token of row r.
    """

    slots: Tensor
    rotation: tuple[Tensor, Tensor] | None = None
    before: Tensor | None = None


@dataclass(frozen=True)
class Kept:
    """What is kept of a layer's tokens. keys, values: [slots, kv_heads, K]. newest:
    [rows, 2·kv_heads, K], the keys and values of each row's last token as projected, where they
    are shifted."""

    keys: Tensor
    values: Tensor
    newest: Tensor | None = None


class TokenHeads:
    """The heads of a layer; as `kernels.cpu.TokenHeads`."""

    def __init__(
        self,
        heads: int,
        kv_heads: int,
        width: int,
        *,
        weights: tuple[Tensor | None, Tensor | None] = (None, None),
        eps: float = 0.0,
        shares: tuple[Tensor, Tensor] | None = None,
        impl: Impl = "triton",
    ):
        """width: K, of a head. weights: of RMSNorms of queries and keys, float32 [K]; eps: theirs.
        shares: of the token before in keys and in values, float32 [kv_heads]."""
        fits = all(weight is None or weight.shape == (width,) for weight in weights)
        fits = fits and all(share.shape == (kv_heads,) for share in shares or ())
        need(fits, f"weights of norms are {width} numbers, shares {kv_heads}")
        self.sizes = heads, kv_heads, width
        self._impl: Impl = impl
        self._weights, self._eps, self._shares = weights, eps, shares
        self.shifts = shares is not None

    def keys_values(self, projected: Tensor) -> Tensor:
        """The part of the projections that becomes keys and values: [N, 2·kv_heads, K]."""
        heads, kv_heads, width = self.sizes
        return projected[:, heads * width :].unflatten(-1, (2 * kv_heads, width))

    def take_in(self, x: Tensor, places: Places, kept: Kept) -> Tensor:
        """x: [N, (H + 2·kv_heads)·K], each token's queries, keys and values. Returns its queries,
        [N, H, K]; keys and values are written to their slots.

        Raises `InputError` where there is no GPU to run it.
        """
        check_device(self._impl, x)
        heads, kv_heads, width = self.sizes
        N = len(places.slots)
        need(x.shape == (N, (heads + 2 * kv_heads) * width), "x has not the width of all heads")
        for pool in (kept.keys, kept.values):
            need(pool.shape[1:] == (kv_heads, width) and pool.is_contiguous(), "pools do not fit")
        known = not self.shifts or (places.before is not None and kept.newest is not None)
        need(known, "what is before the tokens is needed")
        if self._impl == "reference":
            return self._formula(x, places, kept)
        x = x.contiguous()
        queries = x.new_empty(N, heads, width)
        cos, sin = places.rotation or (x, x)
        query, key = self._weights
        numbers = query if query is not None else x if key is None else key  # where one has none
        of_keys, of_values = self._shares or (x, x)
        rotated = 0 if places.rotation is None else 2 * cos.shape[-1]
        need(rotated <= width, "a rotation is wider than a head")
        _take_in[(N, heads + 2 * kv_heads)](
            *(x, queries, kept.keys, kept.values, places.slots, cos.contiguous(), sin.contiguous()),
            *(numbers if query is None else query, numbers if key is None else key),
            *(of_keys, of_values),
            *(places.before, kept.newest) if self.shifts else (places.slots, x),
            self._eps,
            H=heads,
            KV=kv_heads,
            WIDTH=width,
            BLOCK=power_of_two(width),
            ROTATED=rotated,
            NORM_QUERY=query is not None,
            NORM_KEY=key is not None,
            SHIFTS=self.shifts,
            num_warps=1 if width <= 64 else 2,
        )
        return queries

    def _formula(self, x: Tensor, places: Places, kept: Kept) -> Tensor:
        heads, kv_heads, width = self.sizes
        queries, keys, values = (
            part.unflatten(-1, (-1, width)).float()
            for part in x.split([heads * width, kv_heads * width, kv_heads * width], -1)
        )
        if self._shares is not None:
            before = self._before(x, places, kept).float()
            of_keys, of_values = (share[:, None] for share in self._shares)
            keys = keys + of_keys * (before[:, :kv_heads] - keys)
            values = values + of_values * (before[:, kv_heads:] - values)
        found = []
        for part, weight in zip((queries, keys), self._weights, strict=True):
            if weight is not None:
                part = part * (part.square().mean(-1, keepdim=True) + self._eps).rsqrt() * weight
            if places.rotation is not None:
                cos, sin = (angle[:, None] for angle in places.rotation)
                a, b, rest = part.tensor_split([cos.shape[-1], 2 * cos.shape[-1]], -1)
                part = torch.cat((a * cos - b * sin, b * cos + a * sin, rest), -1)
            found.append(part)
        kept.keys[places.slots] = found[1].to(kept.keys.dtype)
        kept.values[places.slots] = values.to(kept.values.dtype)
        return found[0].to(x.dtype)

    def _before(self, x: Tensor, places: Places, kept: Kept) -> Tensor:
        """[N, 2·kv_heads, K] of the token before each, zeros where there is none."""
        assert places.before is not None
        assert kept.newest is not None
        there = places.before
        inside = self.keys_values(x)[there.clamp(min=0)]
        earlier = kept.newest[(-2 - there).clamp(min=0)]
        found = torch.where((there >= 0)[:, None, None], inside, earlier)
        return found.masked_fill((there == -1)[:, None, None], 0.0)


@jit
def _take_in(
    X, QUERIES, KEYS, VALUES, SLOTS, COS, SIN, QUERY_WEIGHT, KEY_WEIGHT, OF_KEYS, OF_VALUES,
    BEFORE, NEWEST, eps,
    H: tl.constexpr, KV: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
    ROTATED: tl.constexpr, NORM_QUERY: tl.constexpr, NORM_KEY: tl.constexpr, SHIFTS: tl.constexpr,
):  # fmt: skip
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = tl.arange(0, BLOCK)
    inside = column < WIDTH
    projected = X + (token * (H + 2 * KV) + head) * WIDTH
    x = tl.load(projected + column, inside, other=0.0).to(tl.float32)
    half: tl.constexpr = ROTATED // 2
    partner = tl.where(column < half, column + half, column - half)
    partner = tl.where(column < ROTATED, partner, column)
    other = x
    if ROTATED > 0:
        other = tl.load(projected + partner, inside, other=0.0).to(tl.float32)
    if SHIFTS:  # noqa: SIM102
        if head >= H:
            there = tl.load(BEFORE + token)
            row = tl.where(there >= 0, there, -2 - there)
            inner = tl.where(there >= 0, (H + 2 * KV) * WIDTH, 2 * KV * WIDTH)
            skipped = tl.where(there >= 0, H * WIDTH, 0)
            base = tl.where(there >= 0, X, NEWEST) + row * inner + skipped + (head - H) * WIDTH
            known = inside & (there != -1)
            share = tl.load(tl.where(head < H + KV, OF_KEYS + head - H, OF_VALUES + head - H - KV))
            x += share * (tl.load(base + column, known, other=0.0).to(tl.float32) - x)
            if ROTATED > 0:
                earlier = tl.load(base + partner, known, other=0.0).to(tl.float32)
                other += share * (earlier - other)
    is_key = (head >= H) & (head < H + KV)
    if ((head < H) & NORM_QUERY) | (is_key & NORM_KEY):
        weight = tl.where(head < H, QUERY_WEIGHT, KEY_WEIGHT)
        scale = tl.rsqrt(tl.sum(x * x, 0) / WIDTH + eps)
        x *= scale * tl.load(weight + column, inside, other=0.0)
        other *= scale * tl.load(weight + partner, inside, other=0.0)
    if ROTATED > 0:  # noqa: SIM102
        if head < H + KV:
            angle = token * half + tl.where(column < half, column, column - half)
            turned = column < ROTATED
            cos = tl.load(COS + angle, turned, other=1.0)
            sin = tl.load(SIN + angle, turned, other=0.0)
            x = x * cos + tl.where(column < half, -other, other) * sin
    if head < H:
        tl.store(QUERIES + (token * H + head) * WIDTH + column, x.to(X.dtype.element_ty), inside)
    else:
        slot = tl.load(SLOTS + token)
        pool = tl.where(head < H + KV, KEYS, VALUES)
        which = tl.where(head < H + KV, head - H, head - H - KV)
        place = pool + (slot * KV + which) * WIDTH + column
        tl.store(place, x.to(KEYS.dtype.element_ty), inside)
