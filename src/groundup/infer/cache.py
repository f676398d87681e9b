"""The key-value cache of many sequences: rows, and pages that they fill as they grow.

A row is a sequence that is being computed. Its table says in which page its positions stand: 0 … 15
in the first, 16 … 31 in the second, and so on; so nothing is reserved for what may never be
generated, and at most the last page of a sequence is not full.

Layers with a sliding window have tables and pages of their own, and give back what has left the
window. Layers that carry a state in place of keys have one state a row. Latent attention keeps one
vector a position, and a layer that borrows keys and values keeps none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.infer.large_pages import fresh
from groundup.infer.pages import Pages
from groundup.kernels import cpu
from groundup.kernels.cpu.reach import PAGE
from groundup.layers import GatedDelta, GroupedQuery, Mamba2
from groundup.models import Decoder


class Part(NamedTuple):
    """Positions `start` up to `stop` of the sequence in a row: what a pass computes of it."""

    row: int
    start: int
    stop: int


@dataclass
class Kind:
    """Layers that see equally far. window: None for all. table: int32 [rows, pages of a row]; 0
    where a row has no page."""

    window: int | None
    layers: list[int]
    pages: Pages
    table: NDArray[np.int32]

    def first_seen(self, position: int) -> int:
        """The first position that one sees."""
        return 0 if self.window is None else max(0, position - self.window + 1)


@dataclass
class _Row:
    """names: of the pages that are full, and of those of its text that are being computed.
    full: how many of them are. shared: positions that are not written again, most often as other
    sequences have computed them. held: of each kind, from which to which page the row has them."""

    names: list[bytes]
    full: int
    shared: int
    held: list[tuple[int, int]]


class PagedCache:
    """Room for `rows` sequences, which together hold about `positions` positions."""

    def __init__(
        self,
        config: Decoder,
        *,
        rows: int,
        positions: int,
        at_once: int,
        dtype: torch.dtype,
        device: torch.device,
        frugal: bool = False,
    ):
        """at_once: the most tokens of a pass. frugal: see `Pages`."""
        self.config, self.device, self.rows = config, device, rows
        columns = -(-config.context // PAGE)
        self.kinds: list[Kind] = []
        self.kind_of: dict[int, int] = {}
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor | None] = {}
        # Of each row's last token, as projected, before any shift: [rows + 1, 2 · heads, K], the
        # last of which is nobody's.
        self.newest: dict[int, Tensor] = {}
        for window, layers in layers_by_window(config).items():
            count = max(columns, -(-positions // PAGE))
            if window is not None:  # a row's window, and what a pass adds before any is given back
                beside = -(-at_once // PAGE) + rows
                count = min(count, max(columns, rows * (-(-window // PAGE) + 1) + beside))
            table = np.zeros((rows, columns), dtype=np.int32)
            self.kinds.append(Kind(window, layers, Pages(count, frugal=frugal), table))
            for layer in layers:
                attention = config.attention_of(layer)
                cached = attention.cached
                assert cached is not None
                heads, *widths = cached
                keys, values = (
                    fresh(((count + 1) * PAGE, heads, width), dtype, device) for width in widths
                )
                self.kind_of[layer] = len(self.kinds) - 1
                self.keys[layer] = keys
                if isinstance(attention, GroupedQuery) and attention.shift:
                    self.newest[layer] = keys.new_zeros(rows + 1, 2 * heads, widths[0])
                self.values[layer] = values if widths[1] else None
                for pool in (keys, values):
                    pool[:PAGE] = 0  # what a mask hides is read from there, and must be finite
        self._kept: dict[int, Any] = {}
        self.owner = {layer: _owner(config, layer) for layer in range(config.depth)}
        self.states: dict[int, tuple[Tensor, ...]] = {}  # of layers without keys, a row each
        self.shifts = bool(self.newest)
        mixers = [config.attention_of(layer) for layer in range(config.depth)]
        # A state is known after a whole text alone, and not after each page of it.
        self.shares = not any(isinstance(m, Mamba2 | GatedDelta) for m in mixers)
        self._free_rows = list(range(rows - 1, -1, -1))
        self._rows: dict[int, _Row] = {}
        self._coming: set[bytes] = set()  # names of pages that are being computed

    def kept(self, layer: int) -> Any:
        """A layer's keys and values, as the compiled core takes them, or a GPU's kernels."""
        if layer not in self._kept:
            values = self.values[layer]
            assert values is not None
            there = (self.keys[layer], values, self.newest.get(layer))
            if cpu.takes(*self.keys.values()):
                self._kept[layer] = cpu.Kept(*there)
            else:
                from groundup.kernels.take_in import Kept

                self._kept[layer] = Kept(*there)
        return self._kept[layer]

    @property
    def free_rows(self) -> int:
        return len(self._free_rows)

    def awaited(self, names: Sequence[bytes]) -> bool:
        """Whether the next page of a text, of which some may be there, is just being computed for
        another sequence: then it is worth waiting for it."""
        found = self._found(names) if self._coming else 0
        return found < len(names) and names[found] in self._coming

    def admit(self, names: Sequence[bytes], length: int, *, shareable: int) -> tuple[int, int]:
        """A row for a text, and how many of its first positions need not be computed.

        names: see `page_names`. shareable: how many positions may be taken from others. There must
        be a free row. A model that shifts its keys reads the last of those positions once more, and
        so does a text that is there entirely, as something must be read.
        """
        index = self._free_rows.pop()
        pages = self._found(names[: shareable // PAGE])
        row = _Row(list(names), pages, pages * PAGE, [])
        for kind in self.kinds:
            first = kind.first_seen(pages * PAGE - 1) // PAGE if pages else 0
            for page in range(first, pages):
                kind.table[index, page] = kind.pages.share(names[page])
            row.held.append((first, pages))
        self._rows[index] = row
        self._coming.update(names[pages:])
        again = pages and (self.shifts or row.shared == length)
        return index, row.shared - bool(again)

    def _found(self, names: Sequence[bytes]) -> int:
        """How many of the first pages are there; of a windowed kind only those that are seen."""
        longest = len(names)
        for kind in self.kinds:
            if kind.window is None:
                missing = (i for i, name in enumerate(names) if not kind.pages.named(name))
                longest = min(longest, next(missing, longest))
        for count in range(longest, 0, -1):
            if all(
                kind.pages.named(name)
                for kind in self.kinds
                if kind.window is not None
                for name in names[kind.first_seen(count * PAGE - 1) // PAGE : count]
            ):
                return count
        return 0

    def fits(self, row: int, stop: int) -> bool:
        """Whether there are pages for a row's positions up to `stop`; what leaves a window is not
        counted."""
        wanted = -(-stop // PAGE)
        held = self._rows[row].held
        return all(
            kind.window is not None or wanted - last <= kind.pages.free
            for kind, (_, last) in zip(self.kinds, held, strict=True)
        )

    def extend(self, row: int, stop: int) -> bool:
        """Take pages up to a position; False, and none is taken, where there are too few."""
        held = self._rows[row].held
        wanted = -(-stop // PAGE)
        missing = [wanted - last for _, last in held]
        if max(missing, default=0) <= 0:
            return True
        if any(n > kind.pages.free for kind, n in zip(self.kinds, missing, strict=True)):
            return False
        for i, kind in enumerate(self.kinds):
            first, last = held[i]
            for page in range(last, wanted):
                kind.table[row, page] = kind.pages.take()
            held[i] = (first, max(last, wanted))
        return True

    def computed(self, row: int, stop: int, inside: Callable[[int, int], Sequence[int]]) -> None:
        """Positions up to `stop` are there: pages that are full are named for others, and what no
        later position sees is given back. inside: the tokens from one position up to another."""
        state = self._rows[row]
        full = stop // PAGE if self.shares else 0
        if full > state.full:
            known = len(state.names)
            if full > known:
                new = inside(known * PAGE, full * PAGE)
                state.names += page_names(new, state.names[-1] if known else b"")
            for page in range(state.full, full):
                self._coming.discard(state.names[page])
                for kind in self.kinds:
                    if kind.table[row, page]:
                        kind.pages.name(int(kind.table[row, page]), state.names[page])
            state.full = full
        for i, kind in enumerate(self.kinds):
            if kind.window is None:
                continue
            first, last = state.held[i]
            seen = min(kind.first_seen(stop) // PAGE, last)
            for page in range(first, seen):
                kind.pages.give_back(int(kind.table[row, page]))
                kind.table[row, page] = 0
            state.held[i] = (max(first, seen), last)

    def release(self, row: int) -> None:
        """The sequence has ended, or waits: its row and its pages are free."""
        state = self._rows.pop(row)
        self._coming.difference_update(state.names[state.full :])
        for kind, (first, last) in zip(self.kinds, state.held, strict=True):
            # The last pages first: of those that are kept, beginnings are worth the most.
            for page in range(last - 1, first - 1, -1):
                kind.pages.give_back(int(kind.table[row, page]))
            kind.table[row] = 0
        self._free_rows.append(row)

    def keep(self, row: int, stop: int) -> None:
        """What stands in a row up to a position is not written again, even if it is computed."""
        self._rows[row].shared = stop

    def shared(self, row: int) -> int:
        """How many of a row's first positions are not to be written, as other sequences have
        computed them, or it has itself."""
        return self._rows[row].shared

    def room(self, row: int) -> int:
        """For how many positions a row has pages, where it has most."""
        return PAGE * max((last - first for first, last in self._rows[row].held), default=0)

    @property
    def used(self) -> float:
        """Which share of the pages are somebody's, of the kind that has the fewest left."""
        return max((1 - kind.pages.free / kind.pages.count for kind in self.kinds), default=0.0)


def layers_by_window(config: Decoder) -> dict[int | None, list[int]]:
    """Layers that keep keys and values, by how far they see; None for all of the context."""
    found: dict[int | None, list[int]] = {}
    for layer in range(config.depth):
        attention = config.attention_of(layer)
        if attention.cached is None:
            continue
        window = attention.window
        if window is not None and window >= config.context:
            window = None
        found.setdefault(window, []).append(layer)
    return found


def position_bytes(config: Decoder, dtype: torch.dtype) -> int:
    """Of the keys and values of one position."""
    sizes = (config.attention_of(layer).cached for layer in range(config.depth))
    return sum(heads * (k + v) for heads, k, v in filter(None, sizes)) * dtype.itemsize


def _owner(config: Decoder, layer: int) -> int:
    """Which layer keeps the keys and values that a layer attends to."""
    while config.borrows(layer):
        layer -= 1
    return layer


def page_names(tokens: Sequence[int], before: bytes = b"") -> list[bytes]:
    """Names of the full pages of a text: each says what stands in it and in all before it.

    before: the name of the page before the first token.
    """
    ids = np.asarray(tokens, dtype=np.int64)
    names = []
    for page in range(len(ids) // PAGE):
        inside = ids[page * PAGE : (page + 1) * PAGE].tobytes()
        before = blake2b(before + inside, digest_size=16).digest()
        names.append(before)
    return names
