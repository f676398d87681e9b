"""Passes over one token of each of several sequences, recorded and played back.

A GPU takes some microseconds for each of a layer's kernels, and Python some hundred to launch them
all: a model that writes one token after the other would wait for Python most of the time. So the
work of a pass is recorded once, as a graph (NVIDIA's CUDA graphs), and then launched as a whole. It
reads and writes where it did when it was recorded, so all that differs from pass to pass (tokens,
positions, tables of pages) is copied there first.

There is a recording for 1, 2, 4, … tokens, made when it is first needed; what is missing to the
next power of two is filled up with tokens that are nobody's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any
from weakref import proxy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.infer.cache import PAGE, PagedCache, Part
from groundup.infer.passes import Pass, View
from groundup.kernels import at_hand
from groundup.layers import ALiBi, GatedDelta, Mamba2, MoE, RelativeBias
from groundup.models import Decoder, DecoderModel


def can_record(config: Decoder, device: torch.device) -> bool:
    """Whether passes always do the same work: not with experts, who are chosen, nor with states and
    biases, which no kernel of ours reads."""
    layers = range(config.depth)
    return at_hand.has_kernels(device) and not any(
        isinstance(config.attention_of(layer), Mamba2 | GatedDelta)
        or isinstance(config.position_of(layer), ALiBi | RelativeBias)
        or isinstance(config.mlp_of(layer), MoE)
        for layer in layers
    )


_recording = Lock()  # a process records one thing at a time


class Recordings:
    """Of a model and its cache."""

    def __init__(self, model: DecoderModel, cache: PagedCache):
        self._model, self._cache = model, cache
        self._of: dict[int, tuple[_StillPass, Callable[[], Tensor]]] = {}
        # One for all, as they never play at once: what stands between a pass's operations is then
        # in memory once, and libraries' room, too.
        self._tape = _Tape(cache.device) if cache.device.type == "cuda" else None

    def logits(self, parts: Sequence[Part], tokens: Sequence[int]) -> Tensor:
        """What comes behind the last token of each part, which is the only one that it has:
        float32 [N, V], until the next call. What the tokens are in each layer is kept."""
        size = 1 << (len(parts) - 1).bit_length()
        if size not in self._of:
            still = _StillPass(self._cache, size)
            still.set([], [])  # to record is to compute, and to compute changes what is kept
            compute = partial(self._compute, still)
            self._of[size] = still, compute if self._tape is None else self._tape.record(compute)
        still, play = self._of[size]
        still.set(parts, tokens)
        return play()[: len(parts)]

    def _compute(self, still: "_StillPass") -> Tensor:
        still.begin()
        hidden = self._model.hidden(still.tokens, positions=still.positions, cache=still)
        still.end()
        return self._model.readout(hidden)[0].float()


class _Tape:
    """Records what a GPU is told to do."""

    def __init__(self, device: torch.device):
        self._device, self._stream = device, torch.cuda.Stream(device)
        self._pool: Any = None

    def record(self, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Does the same again and again, and gives the tensor in which the result stands."""
        with _recording, torch.cuda.device(self._device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):  # compiles kernels, and takes libraries' room
                for _ in range(2):
                    compute()
            torch.cuda.current_stream().wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(
                graph,
                pool=self._pool,
                stream=self._stream,
                capture_error_mode="thread_local",  # others may use the GPU meanwhile
            ):
                result = compute()
            self._pool = graph.pool()

        def play() -> Tensor:
            graph.replay()
            return result

        return play


class _StillPass(Pass):
    """A pass over so many tokens, each of a sequence of its own, whose tensors stay where they are.

    All numbers stand in one array on the processor and one on the device, so that one copy brings
    them there; tables of pages in another for each kind of layers, page by page, so that those that
    are not there yet need not be copied.
    """

    def __init__(self, cache: PagedCache, count: int):
        self.cache = cache
        self.in_core, self.paged = False, True
        self.parts, self._single, self._few_parts = [], count, 0
        kinds, columns = len(cache.kinds), -(-cache.config.context // PAGE)
        self._numbers = _Mirrored((4 + 3 * kinds, count), torch.int64, cache.device)
        self._tables = [
            _Mirrored((columns, count), torch.int32, cache.device) for _ in range(kinds)
        ]
        tokens, position, self.rows, self.earlier, *rest = self._numbers.there
        self.tokens, self.positions = tokens[None], position[None]
        self._projected = {}
        self._views = [
            _StillView(proxy(self), kind, rest[3 * kind : 3 * kind + 3]) for kind in range(kinds)
        ]

    def set(self, parts: Sequence[Part], tokens: Sequence[int]) -> None:
        """What is to be computed next. Tokens that are nobody's stand at position 0 of page 0, and
        write to the row behind the last."""
        used, numbers = len(parts), self._numbers.here
        rows = np.array([part.row for part in parts], dtype=np.int64)
        position = np.array([part.start for part in parts], dtype=np.int64)
        shared = np.array([self.cache.shared(part.row) for part in parts], dtype=np.int64)
        numbers[:, used:] = 0
        numbers[0, :used], numbers[1, :used], numbers[2, :used] = tokens, position, rows
        numbers[2, used:] = self.cache.rows
        numbers[3] = np.where(numbers[1] == 0, -1, -2 - numbers[2])
        pages = int(position.max(initial=0)) // PAGE + 1
        for i, kind in enumerate(self.cache.kinds):
            slots, first, last = numbers[4 + 3 * i : 7 + 3 * i]
            page = kind.table[rows, position // PAGE].astype(np.int64)
            page[position < shared] = 0  # computed once more, and not written
            slots[:used] = page * PAGE + position % PAGE
            if kind.window is not None:
                first[:used] = np.maximum(0, position - kind.window + 1)
            last[:used], last[used:] = position + 1, 1
            table = self._tables[i].here[:pages]
            table[:, :used], table[:, used:] = kind.table[rows, :pages].T, 0
            self._tables[i].send(pages)
        self._numbers.send(len(numbers))

    def begin(self) -> None:
        """The same pass once more."""
        self._projected.clear()
        for view in self._views:
            view.forget()

    def end(self) -> None:
        """These tokens are their rows' last."""
        for layer, projected in self._projected.items():
            self.cache.newest[layer].index_copy_(0, self.rows, projected)

    def before(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        projected = torch.cat((keys[0], values[0]), dim=1)
        self._projected[layer] = projected
        before = self.cache.newest[layer][self.rows]
        before = before.masked_fill((self.earlier == -1)[:, None, None], 0)
        return before[None, :, : keys.shape[2]], before[None, :, keys.shape[2] :]

    @property
    def together(self) -> bool:
        return True

    def table(self, kind: int) -> Tensor:
        """int32 [N, pages], of which the processor sends those that there are."""
        return self._tables[kind].there.T


class _StillView(View):
    """What the layers of one kind see."""

    def __init__(self, of: _StillPass, kind: int, numbers: Sequence[Tensor]):
        self._of, self._kind = of, of.cache.kinds[kind]
        self.slots, first, last = numbers
        self._places, self._alone = {}, {}
        from groundup.kernels.paged_attention import PagedAttention

        self._reached = PagedAttention(of.table(kind), first, last, impl="triton")

    def forget(self) -> None:
        self._places.clear()


class _Mirrored:
    """An array of the processor's, and its copy on a device."""

    def __init__(self, shape: tuple[int, int], dtype: torch.dtype, device: torch.device):
        pinned = device.type == "cuda"
        self._source = torch.zeros(shape, dtype=dtype, pin_memory=pinned)
        self.here: NDArray[np.integer] = self._source.numpy()
        self.there = torch.zeros(shape, dtype=dtype, device=device)

    def send(self, rows: int) -> None:
        """The first rows."""
        self.there[:rows].copy_(self._source[:rows], non_blocking=True)
