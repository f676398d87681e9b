"""Linear layers of which each serves a run of consecutive rows, as a mixture's experts do (without
dropped or padded rows: Gale et al. 2022, MegaBlocks).

    y_i = W_e · x_i  for the e whose run holds row i
    dx_i = W_eᵀ · dy_i        dW_e = Σ dy_i x_iᵀ over the rows of e

One launch multiplies all runs. How long they are stays on the GPU: there is a program for each tile
of ⌈N / M⌉ + E tiles of M rows, as many as any counts can need, and each finds its run by a sum over
the counts of those before it. Rows beyond the counts' sum are a last run, of zeros.

Products are 2 · N · D · H FLOPs forward and 4 · N · D · H backward. In bfloat16 x and y are
2 · N · (D + H) bytes and the weights 2 · E · D · H, so that memory is the limit where experts have
less than some 400 rows each.
"""

from typing import Any

import torch
from torch import Tensor

from groundup.kernels.cpu.call import first_order, need
from groundup.kernels.launch import (
    Impl,
    as_autocast,
    check_device,
    jit,
    power_of_two,
    precision,
    tl,
)

# Rows, columns and depth of a product's tile, warps, and loads on their way; by the bytes of a
# number. Those of two bytes were measured on an H200 (docs/benchmarks/kernels.md); those of four
# are a first choice, and compiled for an H100 spill no registers.
_TILES = {2: (128, 256, 64, 8, 3), 4: (64, 64, 16, 4, 2)}


def grouped_linear(x: Tensor, weight: Tensor, counts: Tensor, *, impl: Impl) -> Tensor:
    """y_i = weight_e · x_i, for the e whose run holds row i: [N, H].

    x: [N, D], the rows of each layer together and in the layers' order. weight: [E, H, D].
    counts: integers [E], the rows of each. Rows beyond their sum are zeros.
    Sums are in float32. Under autocast it computes in autocast's format.

    Raises `InputError` where `impl` cannot run on x's device.
    """
    check_device(impl, x)
    fits = x.shape[1:] == weight.shape[2:] and counts.shape == weight.shape[:1]
    need(fits, f"x {tuple(x.shape)}, weight {tuple(weight.shape)}, counts {tuple(counts.shape)}")
    x, weight = as_autocast(x, weight)
    need(x.dtype == weight.dtype, f"x and weight differ: {x.dtype} and {weight.dtype}")
    if impl == "reference":
        return _reference(x, weight, counts)
    return _GroupedLinear.apply(x, weight, counts)


def _reference(x: Tensor, weight: Tensor, counts: Tensor) -> Tensor:
    lengths = counts.tolist()
    *runs, rest = x.split([*lengths, len(x) - sum(lengths)])
    products = [run @ matrix.T for run, matrix in zip(runs, weight, strict=True)]
    return torch.cat([*products, x.new_zeros(len(rest), weight.shape[1])])


class _GroupedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, counts: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, counts)
        return _multiply(x, weight, counts)

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, counts = ctx.saved_tensors
        of_x, of_weight, _ = ctx.needs_input_grad
        dx = _multiply(grads[0], weight.mT, counts) if of_x else None
        return dx, _multiply_outer(grads[0], x, counts) if of_weight else None, None


def _multiply(x: Tensor, weight: Tensor, counts: Tensor) -> Tensor:
    (N, D), (E, H, _) = x.shape, weight.shape
    y = torch.empty(N, H, dtype=x.dtype, device=x.device)
    tile = _tile(x, E)
    _linear[(-(-H // tile["COLUMNS"]), -(-N // tile["ROWS"]) + E)](
        x, weight, counts.contiguous(), y, x.stride(), weight.stride(), N, H, D, **tile
    )
    return y


def _multiply_outer(y: Tensor, x: Tensor, counts: Tensor) -> Tensor:
    """Σ y_i x_iᵀ over each run: [N, H] and [N, D] → [E, H, D], zeros where a run is empty."""
    (N, H), D, E = y.shape, x.shape[1], len(counts)
    weight = torch.empty(E, H, D, dtype=x.dtype, device=x.device)
    tile = _tile(x, E)
    _outer[(-(-D // tile["COLUMNS"]), -(-H // tile["ROWS"]), E)](
        y, x, counts.contiguous(), weight, y.stride(), x.stride(), N, H, D, **tile
    )
    return weight


def _tile(x: Tensor, experts: int) -> dict[str, Any]:
    rows, columns, depth, warps, stages = _TILES[x.dtype.itemsize]
    return {
        "E": experts,
        "EXPERTS": power_of_two(experts),
        "ROWS": rows,
        "COLUMNS": columns,
        "DEPTH": depth,
        "PRECISION": precision(),
        "num_warps": warps,
        "num_stages": stages,
    }


@jit
def _linear(
    X, W, COUNTS, Y, x_strides, w_strides, N, H, D,
    E: tl.constexpr, EXPERTS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program has a tile of ROWS and COLUMNS of y."""
    expert, begin, end = _run_of(tl.program_id(1), COUNTS, N, E, EXPERTS, ROWS)
    row = (begin + tl.arange(0, ROWS)).to(tl.int64)
    column = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)).to(tl.int64)
    y = tl.zeros((ROWS, COLUMNS), tl.float32)
    weight = W + tl.minimum(expert, E - 1).to(tl.int64) * w_strides[0]
    for start in range(0, tl.where(expert < E, D, 0), DEPTH):  # the run beyond all is zeros
        inner = (start + tl.arange(0, DEPTH)).to(tl.int64)
        x = tl.load(
            X + row[:, None] * x_strides[0] + inner[None, :] * x_strides[1],
            (row < end)[:, None] & (inner < D)[None, :],
            other=0.0,
        )
        w = tl.load(
            weight + column[None, :] * w_strides[1] + inner[:, None] * w_strides[2],
            (column < H)[None, :] & (inner < D)[:, None],
            other=0.0,
        )
        y += tl.dot(x, w, input_precision=PRECISION)
    inside = (row < end)[:, None] & (column < H)[None, :]
    tl.store(Y + row[:, None] * H + column[None, :], y.to(Y.dtype.element_ty), inside)


@jit
def _run_of(tile, COUNTS, N, E: tl.constexpr, EXPERTS: tl.constexpr, ROWS: tl.constexpr):
    """The expert of a tile, its first row and the end of its run. The expert is E for rows beyond
    all counts, and for tiles beyond all rows."""
    expert = tl.arange(0, EXPERTS)
    counts = tl.load(COUNTS + expert, expert < E, other=0).to(tl.int32)
    tiles = (counts + ROWS - 1) // ROWS
    before = tl.cumsum(tiles, 0) <= tile  # whole runs
    number = tl.sum((before & (expert < E)).to(tl.int32), 0)
    begin = tl.sum(tl.where(before, counts, 0), 0)
    length = tl.sum(tl.where(expert == number, counts, 0), 0)
    end = tl.minimum(tl.where(number < E, begin + length, N), N)
    return number, begin + (tile - tl.sum(tl.where(before, tiles, 0), 0)) * ROWS, end


@jit
def _outer(
    Y, X, COUNTS, W, y_strides, x_strides, N, H, D,
    E: tl.constexpr, EXPERTS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program has a tile of one expert's matrix, and sums over the expert's rows."""
    expert = tl.program_id(2)
    some = tl.arange(0, EXPERTS)
    counts = tl.load(COUNTS + some, some < E, other=0).to(tl.int32)
    begin = tl.sum(tl.where(some < expert, counts, 0), 0)
    end = tl.minimum(begin + tl.sum(tl.where(some == expert, counts, 0), 0), N)
    h = (tl.program_id(1) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    d = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)).to(tl.int64)
    weight = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(begin, end, DEPTH):
        row = (start + tl.arange(0, DEPTH)).to(tl.int64)
        y = tl.load(
            Y + row[None, :] * y_strides[0] + h[:, None] * y_strides[1],
            (row < end)[None, :] & (h < H)[:, None],
            other=0.0,
        )
        x = tl.load(
            X + row[:, None] * x_strides[0] + d[None, :] * x_strides[1],
            (row < end)[:, None] & (d < D)[None, :],
            other=0.0,
        )
        weight += tl.dot(y, x, input_precision=PRECISION)
    place = W + expert.to(tl.int64) * H * D + h[:, None] * D + d[None, :]
    tl.store(place, weight.to(W.dtype.element_ty), (h < H)[:, None] & (d < D)[None, :])
