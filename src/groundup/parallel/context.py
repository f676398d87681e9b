"""Context parallelism: every process has some positions of each sequence, and attention meets the
keys and values of all of them in a ring (Liu et al. 2023, "Ring attention with blockwise
transformers for near-infinite context").

    in each of C rounds: attend to the keys and values that are here, while they go on to the next
    process and those of the process before arrive

What a query has read so far is kept with the logarithm of its softmax's sum, by which it is joined
with what the next round reads. Backward the keys and values go round once more, and with them the
sums of their gradients, which come home after the last round.

A causal model's first positions have little to attend to and its last ones much. So a sequence is
cut into 2·C chunks, and process r has the chunks r and 2·C − 1 − r: all have as much to do (Brandon
et al. 2023, "Striped attention", has the same aim; Llama 3's report, section 3.3.2, this cut).

For n bytes of keys and values of a process's positions, in a block and micro-batch, it sends

    (C − 1) · n        forward, and        (C − 1) · n + C · s        backward,

where the sums of their gradients, which are float32, are s bytes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.core.errors import InputError
from groundup.core.processes import Group
from groundup.core.regions import bounds
from groundup.layers import ALiBi, GroupedQuery, RelativeBias
from groundup.layers.cache import Bias, KeysValues
from groundup.layers.documents import borders
from groundup.models import Decoder
from groundup.parallel.collectives import gather_rows
from groundup.parallel.hooks import eager


def check_context(config: Decoder, size: int) -> None:
    """Raises `InputError` where a ring cannot compute the model's attention."""
    if size == 1:
        return
    for layer in range(config.depth):
        attention, position = config.attention_of(layer), config.position_of(layer)
        if not isinstance(attention, GroupedQuery):
            lacks = type(attention).__name__
        elif isinstance(position, ALiBi | RelativeBias):
            lacks = type(position).__name__
        elif attention.softcap is not None or attention.sinks:
            lacks = "softcap or sinks"
        else:
            continue
        raise InputError(
            f"context parallelism has no {lacks}: leave context at 1, or train another model."
        )


# Queries, and keys, whose products are held at a time: of longer chunks these would be too many.
PIECE = 1024


class Chunk(NamedTuple):
    """Positions `first` up to `last` of a sequence."""

    first: int
    last: int


def chunks_of(tokens: int, size: int, rank: int) -> tuple[Chunk, Chunk]:
    """Of a sequence of so many tokens, those of one of `size` processes."""
    count = 2 * size
    first, second = (Chunk(*bounds(tokens, count, i)) for i in (rank, count - 1 - rank))
    return first, second


class Ring:
    """The processes that share the sequences of a pass. tokens: of a whole one. documents: of all
    of its tokens, numbered, [B, T], or None.

    To `GroupedQueryAttention` it is a cache, as far as that uses `layers.cache.Cache`;
    `check_context` lets no other mixer through.
    """

    def __init__(self, group: Group, tokens: int, documents: Tensor | None):
        self.group, self.documents = group, documents
        self.chunks = [chunks_of(tokens, group.size, rank) for rank in range(group.size)]

    @property
    def own_chunks(self) -> tuple[Chunk, Chunk]:
        return self.chunks[self.group.rank]

    def own(self, device: torch.device) -> Tensor:
        """The positions of this process, integers [T_r]."""
        return torch.cat([torch.arange(*chunk, device=device) for chunk in self.own_chunks])

    def before(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:  # noqa: ARG002
        """The keys and values, as projected, of the position before each; zeros before the first,
        and where another document begins.

        keys, values: [B, T_r, heads, K] → the same shapes.
        """
        first, _ = self.own_chunks
        both = torch.stack((keys, values), dim=2)
        one = first.last - first.first
        parts = both[:, :one], both[:, one:]
        ends = torch.cat([part[:, -1:] for part in parts], dim=1)
        count, before = 2 * self.group.size, []
        ends = gather_rows(ends, self.group, count)
        for index, part in zip((self.group.rank, count - 1 - self.group.rank), parts, strict=True):
            place = self._place(index - 1)
            start = ends[:, place : place + 1] if index else torch.zeros_like(part[:, :1])
            before.append(torch.cat((start, part[:, :-1]), dim=1))
        shifted = torch.cat(before, dim=1)
        if self.documents is not None:
            fresh = borders(self.documents)[:, self.own(keys.device)]
            shifted = shifted.masked_fill(fresh[..., None, None, None], 0.0)
        return shifted[:, :, 0], shifted[:, :, 1]

    @eager
    def attend(
        self,
        layer: int,  # noqa: ARG002
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        scale: float,
        window: int | None = None,
        bias: Bias | None = None,  # noqa: ARG002
        softcap: float | None = None,  # noqa: ARG002
        sinks: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """See `layers.cache.Cache`; `check_context` lets neither bias nor softcap nor sinks in."""
        geometry = _Round(self, window, queries.device)
        return _RingAttention.apply(queries, torch.stack((keys, values)), geometry, scale)

    def _place(self, chunk: int) -> int:
        """Where a chunk's end stands among those of all processes, two each."""
        return 2 * chunk if chunk < self.group.size else 2 * (2 * self.group.size - 1 - chunk) + 1


class _Round:
    """The geometry of a pass, kept until its gradients have been computed."""

    def __init__(self, ring: Ring, window: int | None, device: torch.device):
        self.group, self.window, self.documents = ring.group, window, ring.documents
        self._device = device
        self.chunks = ring.chunks

    @property
    def own(self) -> tuple[Chunk, Chunk]:
        return self.chunks[self.group.rank]

    def sources(self) -> Iterator[int]:
        """Whose keys and values are here in each round."""
        for turn in range(self.group.size):
            yield (self.group.rank - turn) % self.group.size

    def tokens(self, rank: int) -> int:
        return sum(last - first for first, last in self.chunks[rank])

    def pairs(self, source: int) -> Iterator[tuple[slice, slice, Tensor | None]]:
        """Rows of queries here, rows of keys of a process, and which of them see each other, bool
        [1 or B, 1, 1, T_i, S_j]; None where all do. Pairs that see nothing are left out."""
        for queries, some_rows in _rows(self.own):
            for keys, other_rows in _rows(self.chunks[source]):
                nearest = queries.first - (keys.last - 1)
                farthest = queries.last - 1 - keys.first
                if keys.first >= queries.last or (self.window and nearest >= self.window):
                    continue
                whole = keys.last <= queries.first + 1 and self.documents is None
                if whole and (self.window is None or farthest < self.window):
                    yield some_rows, other_rows, None
                else:
                    yield some_rows, other_rows, self._mask(queries, keys)

    def _mask(self, queries: Chunk, keys: Chunk) -> Tensor:
        row = torch.arange(*queries, device=self._device)[:, None]
        behind = row - torch.arange(*keys, device=self._device)
        mask = (behind >= 0) if self.window is None else (behind >= 0) & (behind < self.window)
        mask = mask[None]
        if self.documents is not None:
            some, others = (self.documents[:, slice(*chunk)] for chunk in (queries, keys))
            mask = mask & (some[:, :, None] == others[:, None])
        return mask[:, None, None]


class _RingAttention(torch.autograd.Function):
    """queries: [B, H, T_r, K]; keys and values: [2, B, kv_heads, T_r, K] → [B, H, T_r, K]."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys_values: Tensor, of: _Round, scale: float) -> Tensor:
        grouped = _grouped(queries, keys_values)
        read = torch.zeros_like(grouped, dtype=torch.float32)
        log_sums = read.new_full(read.shape[:-1], float("-inf"))
        for source, (keys, values) in _going_round(keys_values, of):
            for some, others, mask in of.pairs(source):
                logits = _logits(grouped[..., some, :], keys[..., others, :], scale, mask)
                more = logits.logsumexp(-1)
                powers = (logits - _finite(more)[..., None]).exp()
                found = _products(powers.to(values.dtype), values[..., others, :])
                before = log_sums[..., some]
                joined = torch.logaddexp(before, more)
                old, new = ((part - _finite(joined)).exp()[..., None] for part in (before, more))
                read[..., some, :] = read[..., some, :] * old + found * new
                log_sums[..., some] = joined
        output = read.flatten(1, 2).to(queries.dtype)
        ctx.save_for_backward(queries, keys_values, output, log_sums)
        ctx.of, ctx.scale = of, scale
        return output

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor, Tensor, None, None]:
        queries, keys_values, output, log_sums = ctx.saved_tensors
        of, scale = ctx.of, ctx.scale
        grouped, dread = _grouped(queries, keys_values), _grouped(dy[0], keys_values)
        # What the softmax's sum takes from each gradient (Dao et al. 2022, appendix B.2).
        shares = (dread.float() * _grouped(output, keys_values).float()).sum(-1, keepdim=True)
        dqueries = torch.zeros_like(grouped, dtype=torch.float32)
        sums = torch.zeros_like(keys_values, dtype=torch.float32)  # of the first round's
        arrived = None
        for source, (keys, values) in _going_round(keys_values, of):
            if arrived is not None:
                arrived[1]()
                sums = arrived[0]
            for some, others, mask in of.pairs(source):
                rows = grouped[..., some, :]
                logits = _logits(rows, keys[..., others, :], scale, mask)
                weights = (logits - log_sums[..., some, None]).exp()
                dy_rows = dread[..., some, :]
                dweights = _products(dy_rows, values[..., others, :].mT)
                dlogits = (weights * (dweights - shares[..., some, :]) * scale).to(rows.dtype)
                dqueries[..., some, :] += _products(dlogits, keys[..., others, :])
                sums[0][..., others, :] += _over_group(dlogits, rows)
                sums[1][..., others, :] += _over_group(weights.to(rows.dtype), dy_rows)
            after = of.tokens((source - 1) % of.group.size)
            coming = sums.new_empty(*sums.shape[:3], after, sums.shape[-1])
            arrived = coming, of.group.pass_on(coming, sums)
        assert arrived is not None
        arrived[1]()
        dqueries = dqueries.flatten(1, 2).to(queries.dtype)
        return dqueries, arrived[0].to(keys_values.dtype), None, None


def ring_volume(numbers: float, size: int, dtype: torch.dtype) -> float:
    """Bytes that one of `size` processes sends for so many numbers of keys and values of its own,
    forward and backward."""
    rounds = size - 1
    return numbers * (2 * rounds * dtype.itemsize + 4 * (rounds + 1 if rounds else 0))


def _going_round(keys_values: Tensor, of: _Round) -> Iterator[tuple[int, Tensor]]:
    """Whose keys and values are here, and they; while they are used the next ones arrive."""
    here = keys_values.contiguous()
    for turn, source in enumerate(of.sources()):
        wait, coming = None, here
        if turn + 1 < of.group.size:
            tokens = of.tokens((source - 1) % of.group.size)
            coming = here.new_empty(*here.shape[:3], tokens, here.shape[-1])
            wait = of.group.pass_on(coming, here)
        yield source, here
        if wait is not None:
            wait()
        here = coming


def _rows(chunks: tuple[Chunk, Chunk]) -> Iterator[tuple[Chunk, slice]]:
    """The chunks in pieces, and where each stands in what a process has."""
    begin = 0
    for chunk in chunks:
        for first in range(chunk.first, chunk.last, PIECE):
            piece = Chunk(first, min(first + PIECE, chunk.last))
            end = begin + piece.last - piece.first
            yield piece, slice(begin, end)
            begin = end


def _grouped(x: Tensor, keys_values: Tensor) -> Tensor:
    """Of all heads, [B, H, T, K] → by the head of keys that they share, [B, kv, H/kv, T, K]."""
    return x.unflatten(1, (keys_values.shape[2], -1))


def _logits(queries: Tensor, keys: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    """float32 [B, kv, H/kv, T, S]."""
    logits = _products(queries, keys.mT) * scale
    return logits if mask is None else logits.masked_fill(~mask, float("-inf"))


def _products(rows: Tensor, matrix: Tensor) -> Tensor:
    """[B, kv, G, T, A] · [B, kv, A, C] → float32 [B, kv, G, T, C]; one matrix a group."""
    return (rows.flatten(2, 3) @ matrix).unflatten(2, rows.shape[2:4]).float()


def _over_group(rows: Tensor, others: Tensor) -> Tensor:
    """Σ over a group's rows of rowᵀ · other: [B, kv, G, T, S], [B, kv, G, T, K] → [B, kv, S, K]."""
    return (rows.flatten(2, 3).mT @ others.flatten(2, 3)).float()


def _finite(log_sums: Tensor) -> Tensor:
    """Zero where nothing was read, so that e to the difference is zero and not NaN."""
    return log_sums.masked_fill(log_sums == float("-inf"), 0.0)
