"""A pass of a model over a few tokens of each of many sequences: what the model sees as its cache.

The tokens of all sequences stand one behind the other in a single row, so that matrix products have
no padding to multiply. Only attention, shifts and states look at where a sequence ends. Sequences
with few tokens, most often the one that was drawn last, are attended to together, token by token;
those with many are prompts, and each is a product of matrices of its own.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, cast
from weakref import proxy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.infer.cache import PAGE, PagedCache, Part
from groundup.kernels import at_hand, cpu
from groundup.layers.attend import attend, causal_mask
from groundup.layers.cache import Bias, KeysValues, State
from groundup.layers.rope import Rotation

# Tokens of a sequence up to which they are attended to together with those of others. The compiled
# core and a GPU's kernels read pages where they stand; elsewhere they are gathered for each token.
_FEW_PAGED, _FEW = 32, 1


class Pass:
    """See `layers.cache.Cache`, of which this is one for one row of tokens.

    parts: in the order of the tokens, those with few tokens first. positions: int64 [1, N].
    last: int64 [parts], which token is the last of each part; ends: the ones behind them.
    """

    def __init__(self, cache: PagedCache, parts: Sequence[Part]):
        self.cache = cache
        self.in_core = cpu.takes(*cache.keys.values()) if cache.keys else False
        self.paged = self.in_core or at_hand.has_kernels(cache.device)
        few = _FEW_PAGED if self.paged else _FEW
        self.parts = sorted(parts, key=lambda part: part.stop - part.start > few)
        rows, starts, stops = np.array(self.parts, dtype=np.int64).T
        counts = stops - starts
        ends = counts.cumsum()
        self._counts = counts.tolist()
        self._few_parts = int((counts <= few).sum())  # parts
        self._single = int(ends[self._few_parts - 1]) if self._few_parts else 0  # tokens
        self._row = np.repeat(rows, counts)
        self._position = np.arange(ends[-1]) - np.repeat(ends - counts - starts, counts)
        self._shared = np.array([cache.shared(part.row) for part in self.parts])
        self.positions = self._there(self._position)[None]
        self.last, self.ends = self._there(ends - 1), ends.tolist()
        self.rows = self._there(rows)
        self._fresh, self._starts = starts == 0, ends - counts
        self._projected: dict[int, Tensor] = {}
        # They know it, and must not keep it: a pass that is over would hold the cache until Python
        # looks for cycles, and who makes an engine for each step would have many.
        self._views = [View(proxy(self), i) for i in range(len(cache.kinds))]

    def _there(self, array: NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.cache.device)

    @cached_property
    def earlier(self) -> Tensor:
        """Which token stands before each one: int64 [N], as `kernels.cpu.Places` names them."""
        there = np.arange(self._position.size) - 1
        rows = np.array([part.row for part in self.parts])
        there[self._starts] = np.where(self._fresh, -1, -2 - rows)
        return self._there(there)

    @cached_property
    def _first_tokens(self) -> tuple[Tensor, Tensor]:
        """Of each part; and of those before which nothing stands."""
        return self._there(self._starts), self._there(self._starts[self._fresh])

    def before(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        projected = torch.cat((keys[0], values[0]), dim=1)
        self._projected[layer] = projected
        starts, fresh = self._first_tokens
        before = projected.roll(1, 0)
        before[starts] = self.cache.newest[layer][self.rows]
        before[fresh] = 0
        return before[None, :, : keys.shape[2]], before[None, :, keys.shape[2] :]

    def settle(self, refused: Sequence[int]) -> None:
        """The pass is done; so many of the last tokens of each part were wrong guesses, and those
        before them are what the next pass goes on from."""
        last = self.last - self._there(np.array(refused)) if any(refused) else self.last
        for layer, projected in self._projected.items():
            self.cache.newest[layer].index_copy_(0, self.rows, projected[last])

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
        view: "View",
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
        for i in range(0 if bias is not None else self._few_parts, len(self.parts)):
            some = queries[:, :, begin : begin + self._counts[i]]
            found.append(view.alone(i, some, keys, values, bias=bias, **rules))
            begin += self._counts[i]
        return found[0] if len(found) == 1 else torch.cat(found, dim=2)

    def places(self, *those: Any) -> Any:
        """Of tokens, as what takes them in has them."""
        if self.in_core:
            return cpu.Places(*those)
        from groundup.kernels.take_in import Places

        return Places(*those)

    @property
    def together(self) -> bool:
        """Whether all tokens are attended to together, by what reads pages."""
        return self.paged and self._single == len(self._position)

    def attend_projected(
        self,
        layer: int,
        projected: Tensor,
        heads: Any,
        rotation: Rotation | None,
        **rules: Any,
    ) -> Tensor:
        """The same in fewer operations, where pages are read: from the projections of N tokens,
        [N, (H + 2·kv_heads)·K], to what they read, [1, N, H·K]. heads: the core's, or a GPU's."""
        view, kept = self._views[self.cache.kind_of[layer]], self.cache.kept(layer)
        queries = heads.take_in(projected, view.places(rotation), kept)
        if heads.shifts:
            self._projected[layer] = heads.keys_values(projected)
        if self.together:
            return view.read(queries, kept.keys, kept.values, **rules).flatten(1)[None]
        by_heads = queries.transpose(0, 1)[None]
        read = self._read(view, by_heads, kept.keys, kept.values, None, **rules)
        return read.transpose(1, 2).flatten(2)

    def through_block(
        self, layer: int, x: Tensor, block: cpu.FewTokensBlock, rotation: Rotation | None
    ) -> Tensor:
        """A block over few tokens, in one operation: [1, N, D] → [1, N, D]."""
        view = self._views[self.cache.kind_of[layer]]
        y, projected = block(x[0], view.places(rotation), view.reach(), self.cache.kept(layer))
        if block.heads.shifts:
            self._projected[layer] = block.heads.keys_values(projected)
        return y[None]

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


class View:
    """What the layers of one kind see: where the tokens are written, and what stands before."""

    def __init__(self, of: Pass, kind: int):
        self._of, self._kind = of, of.cache.kinds[kind]
        table = self._kind.table
        pages = table[of._row, of._position // PAGE].astype(np.int64)
        shared = np.repeat(of._shared, of._counts)
        pages[of._position < shared] = 0  # computed once more, and not written
        self.slots = of._there(pages * PAGE + of._position % PAGE)
        self._together: tuple[Tensor, Tensor] | None = None
        self._reached: Any = None
        self._places: dict[int, tuple[Rotation | None, Any]] = {}
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

    def places(self, rotation: Rotation | None) -> Any:
        """For the core, or for a GPU. rotation: [1, N, R/2] each."""
        key = id(rotation)
        if key not in self._places:  # what has the key is kept, so that no other can have it
            before = self._of.earlier if self._of.cache.shifts else None
            turned = None if rotation is None else (rotation[0][0], rotation[1][0])
            self._places[key] = rotation, self._of.places(self.slots, turned, before)
        return self._places[key][1]

    def read(self, queries: Tensor, keys: Tensor, values: Tensor, **rules: Any) -> Tensor:
        """The same by what reads pages: [N, H, K] → [N, H, K_v]."""
        return self.reach()(queries, keys, values, **rules)

    def reach(self) -> Any:
        """What the tokens that are attended to together see, for the core or for a GPU."""
        if self._reached is not None:
            return self._reached
        tokens = self._of._single
        position = self._of._position[:tokens]
        pages = position.max() // PAGE + 1
        first = np.zeros_like(position)
        if self._kind.window is not None:
            first = np.maximum(0, position - self._kind.window + 1)
        table = self._kind.table[self._of._row[:tokens], :pages]
        seen = [self._of._there(array) for array in (table, first, position + 1)]
        if self._of.in_core:
            self._reached = cpu.Reach(*seen)
        else:
            from groundup.kernels.paged_attention import PagedAttention

            self._reached = PagedAttention(*seen, impl="triton")
        return self._reached

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
        plain = bias is None and rules["softcap"] is None and rules["sinks"] is None
        if plain and not self._of.in_core and self._of.paged and keys.shape == values.shape:
            from groundup.kernels.attention import WIDEST, Mask, attention_forward

            if queries.shape[-1] <= WIDEST and rules["scale"] > 0:
                return attention_forward(
                    queries,
                    keys[slots].transpose(0, 1)[None],
                    values[slots].transpose(0, 1)[None],
                    Mask(offset=S - T, window=window),
                    scale=rules["scale"],
                    impl="triton",
                )[0]
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
