"""A pass of a model over a few tokens of each of many sequences: what the model sees as its cache.

The tokens of all sequences stand one behind the other in a single row, so that matrix products have
no padding to multiply. Only attention, shifts and states look at where a sequence ends. Sequences
with few tokens, most often the one that was drawn last, are attended to together, token by token;
those with many are prompts, and each is a product of matrices of its own.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.infer.cache import PAGE, PagedCache, Part
from groundup.kernels import cpu
from groundup.layers.attend import attend, causal_mask
from groundup.layers.cache import Bias, KeysValues, State
from groundup.layers.rope import Rotation

# Tokens of a sequence up to which they are attended to together with those of others. The compiled
# core and a GPU's kernels read pages where they stand; elsewhere they are gathered for each token.
_FEW_PAGED, _FEW = 32, 1


def _has_kernels(device: torch.device) -> bool:
    return device.type == "cuda" and find_spec("triton") is not None


class Pass:
    """See `layers.cache.Cache`, of which this is one for one row of tokens.

    parts: in the order of the tokens, those with few tokens first. positions: int64 [1, N].
    last: int64 [parts], which token is the last of each part; ends: the ones behind them.
    """

    def __init__(self, cache: PagedCache, parts: Sequence[Part]):
        self.cache = cache
        self.in_core = cpu.takes(*cache.keys.values()) if cache.keys else False
        self.paged = self.in_core or _has_kernels(cache.device)
        few = _FEW_PAGED if self.paged else _FEW
        self.parts = sorted(parts, key=lambda part: part.stop - part.start > few)
        rows, starts, stops = np.array(self.parts, dtype=np.int64).T
        counts = stops - starts
        ends = counts.cumsum()
        self._counts = counts.tolist()
        self._few = int((counts <= few).sum())  # parts
        self._single = int(ends[self._few - 1]) if self._few else 0  # tokens
        self._row = np.repeat(rows, counts)
        self._position = np.arange(ends[-1]) - np.repeat(ends - counts - starts, counts)
        self._shared = np.array([cache.shared(part.row) for part in self.parts])
        self.positions = self._there(self._position)[None]
        self.last, self.ends = self._there(ends - 1), ends.tolist()
        self.rows = self._there(rows)
        self._fresh = starts == 0
        self._previous: Tensor | None = None
        self._projected: dict[int, tuple[Tensor, Tensor]] = {}
        self._views = [_View(self, i) for i in range(len(cache.kinds))]

    def _there(self, array: NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.cache.device)

    def before(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        newest = self.cache.newest
        if layer not in newest:
            rows = self.cache.rows
            newest[layer] = (
                keys.new_zeros(rows, *keys.shape[2:]),
                values.new_zeros(rows, *values.shape[2:]),
            )
        if self._previous is None:  # behind the newest of each part stand the tokens
            parts = len(self.parts)
            ends = np.cumsum(self._counts)
            previous = parts + np.arange(ends[-1]) - 1
            previous[ends - self._counts] = np.arange(parts)
            self._previous = self._there(previous)
        shifted = []
        for kept, projected in zip(newest[layer], (keys, values), strict=True):
            first = kept[self.rows]
            if self._fresh.any():
                first[self._there(self._fresh)] = 0
            shifted.append(torch.cat((first, projected[0]))[self._previous][None])
        self._projected[layer] = keys, values
        return shifted[0], shifted[1]

    def settle(self, refused: Sequence[int]) -> None:
        """The pass is done; so many of the last tokens of each part were wrong guesses, and those
        before them are what the next pass goes on from."""
        last = self.last - self._there(np.array(refused)) if any(refused) else self.last
        for layer, pair in self._projected.items():
            for kept, projected in zip(self.cache.newest[layer], pair, strict=True):
                kept[self.rows] = projected[0, last]

    def attend(
        self,
        layer: int,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        scale: float,
        window: int | None = None,  # noqa: ARG002
        bias: Bias | None = None,
        softcap: float | None = None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        owner = self.cache.owner[layer]
        view = self._views[self.cache.kind_of[owner]]
        kept, kept_values = self.cache.keys[owner], self.cache.values[owner]
        if owner == layer:
            kept.index_copy_(0, view.slots, keys[0].transpose(0, 1).to(kept.dtype))
            if kept_values is not None:
                there = values[0].transpose(0, 1).to(kept.dtype)
                kept_values.index_copy_(0, view.slots, there)
        if kept_values is None:
            kept_values = kept[..., : values.shape[-1]]
        return self._read(
            view, queries, kept, kept_values, bias, scale=scale, softcap=softcap, sinks=sinks
        )

    def _read(
        self,
        view: "_View",
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        bias: Bias | None,
        **rules: Any,
    ) -> Tensor:
        """queries: [1, H, N, K] → [1, H, N, K_v]."""
        single = 0 if bias is not None else self._single
        found = []
        if single:
            found.append(view.together(queries[:, :, :single], keys, values, **rules))
        begin = single
        for i in range(0 if bias is not None else self._few, len(self.parts)):
            some = queries[:, :, begin : begin + self._counts[i]]
            found.append(view.alone(i, some, keys, values, bias=bias, **rules))
            begin += self._counts[i]
        return found[0] if len(found) == 1 else torch.cat(found, dim=2)

    def attend_projected(
        self,
        layer: int,
        projected: Tensor,
        *,
        heads: int,
        weights: tuple[Tensor | None, ...],
        eps: float,
        rotation: Rotation | None,
        **rules: Any,
    ) -> Tensor:
        """The same in fewer operations, where the core reads the pages: from the projections of N
        tokens, [N, (H + 2·kv_heads)·K], to what they read, [1, N, H·K]. weights, eps, rotation:
        see `kernels.cpu.take_in`."""
        view = self._views[self.cache.kind_of[layer]]
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        assert values is not None
        if rotation is not None:
            rotation = rotation[0][0], rotation[1][0]
        queries = cpu.take_in(
            projected,
            view.slots,
            keys,
            values,
            heads=heads,
            weights=(weights[0], weights[1]),
            eps=eps,
            rotation=rotation,
        )
        if self._single == len(projected):
            return view.read(queries, keys, values, **rules).flatten(1)[None]
        by_heads = queries.transpose(0, 1)[None]
        return self._read(view, by_heads, keys, values, None, **rules).transpose(1, 2).flatten(2)

    def carry(
        self,
        layer: int,
        x: Tensor,
        mix: Callable[[Tensor, State | None], tuple[Tensor, State]],
    ) -> Tensor:
        states = self.cache.states
        found, begin, part = [], 0, 0
        while part < len(self.parts):
            count = self._counts[part]
            alike = part + 1  # parts of one token are one batch
            while count == 1 and alike < len(self.parts) and self._counts[alike] == 1:
                alike += 1
            rows, fresh = self.rows[part:alike], self._fresh[part:alike]
            end = begin + count * (alike - part)
            state = None
            if not fresh.all():
                state = tuple(kept[rows] for kept in states[layer])
                for tensor in state if fresh.any() else ():
                    tensor[self._there(fresh)] = 0
                state = cast(State, type(states[layer])(*state))
            y, after = mix(x[0, begin:end].unflatten(0, (-1, count)), state)
            found.append(y.flatten(0, 1)[None])
            if layer not in states:
                wide = (t.new_zeros(self.cache.rows, *t.shape[1:]) for t in after)
                states[layer] = type(after)(*wide)
            for kept, new in zip(states[layer], after, strict=True):
                kept[rows] = new
            begin, part = end, alike
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)


class _View:
    """What the layers of one kind see: where the tokens are written, and what stands before."""

    def __init__(self, of: Pass, kind: int):
        self._of, self._kind = of, of.cache.kinds[kind]
        table = self._kind.table
        pages = table[of._row, of._position // PAGE].astype(np.int64)
        shared = np.repeat(of._shared, of._counts)
        pages[of._position < shared] = 0  # computed once more, and not written
        self.slots = of._there(pages * PAGE + of._position % PAGE)
        self._together: tuple[Tensor, Tensor] | None = None
        self._reached: Callable[..., Tensor] | None = None
        self._alone: dict[int, tuple[Tensor, Tensor]] = {}

    def together(self, queries: Tensor, keys: Tensor, values: Tensor, **rules: Any) -> Tensor:
        """Of tokens that each are rows of their own. queries: [1, H, N, K]; keys and values: all
        that are kept → [1, H, N, K_v]."""
        tokens = queries.shape[2]
        if self._of.paged:
            read = self.read(queries[0].transpose(0, 1), keys, values, **rules)
            return read.transpose(0, 1)[None]
        if self._together is None:
            self._together = self._gathered(tokens)
        slots, mask = self._together
        read = attend(
            queries[0].transpose(0, 1)[:, :, None],
            keys[slots].transpose(1, 2),
            values[slots].transpose(1, 2),
            mask=mask[:, None, None],
            **rules,
        )
        return read[:, :, 0].transpose(0, 1)[None]

    def read(self, queries: Tensor, keys: Tensor, values: Tensor, **rules: Any) -> Tensor:
        """The same by what reads pages: [N, H, K] → [N, H, K_v]."""
        if self._reached is None:
            self._reached = self._tables(len(queries))
        return self._reached(queries, keys, values, **rules)

    def _tables(self, tokens: int) -> Callable[..., Tensor]:
        """Of the first tokens: their tables, [N, pages], and from where up to where they see."""
        position = self._of._position[:tokens]
        pages = position.max() // PAGE + 1
        first = np.zeros_like(position)
        if self._kind.window is not None:
            first = np.maximum(0, position - self._kind.window + 1)
        table = self._kind.table[self._of._row[:tokens], :pages]
        seen = [self._of._there(array) for array in (table, first, position + 1)]
        if self._of.in_core:
            return cpu.Reach(*seen)
        from groundup.kernels.paged_attention import PagedAttention

        return PagedAttention(*seen, impl="triton")

    def _gathered(self, tokens: int) -> tuple[Tensor, Tensor]:
        """Where what each of the first tokens sees is kept, [N, S], and which of it there is."""
        position = self._of._position[:tokens]
        window = self._kind.window
        first = np.zeros_like(position)
        if window is not None:
            first = np.maximum(0, position - window + 1)
        column = first[:, None] + np.arange((position - first).max() + 1)
        there = column <= position[:, None]
        column[~there] = 0
        pages = self._kind.table[self._of._row[:tokens, None], column // PAGE].astype(np.int64)
        pages[~there] = 0
        return self._of._there(pages * PAGE + column % PAGE), self._of._there(there)

    def alone(
        self,
        part: int,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        bias: Bias | None,
        **rules: Any,
    ) -> Tensor:
        """Of one sequence: queries [1, H, T, K] → [1, H, T, K_v]."""
        row, start, stop = self._of.parts[part]
        first = self._kind.first_seen(start)
        if part not in self._alone:
            column = np.arange(first, stop)
            pages = self._kind.table[row, column // PAGE].astype(np.int64)
            self._alone[part] = (
                self._of._there(pages * PAGE + column % PAGE),
                self._of._there(column),
            )
        slots, column = self._alone[part]
        window, T, S = self._kind.window, stop - start, stop - first
        mask = None
        if window is not None and window < S:
            mask = causal_mask(T, S, queries.device, window=window)[None, None]
        return attend(
            queries,
            keys[slots].transpose(0, 1)[None],
            values[slots].transpose(0, 1)[None],
            mask=mask,
            bias=None if bias is None else bias(column[start - first :], column),
            implementation="blockwise" if cpu.takes(queries, keys) else "sdpa",
            **rules,
        )
