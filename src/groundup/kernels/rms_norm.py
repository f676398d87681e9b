"""RMSNorm (Zhang and Sennrich 2019, equation 4), and the addition to the residual stream before it.

    h = x + r        y = h · ρ · w,  ρ = 1 / √(mean(h²) + ε)

The work is moving bytes: forward, x (and r) are read and y (and h) written; backward, h and dy (and
dh) are read and dx is written. With ĥ = h·ρ and g = dy·w,

    dx = ρ · (g − ĥ · mean(g · ĥ)) + dh        dw = Σ_rows dy · ĥ

A program takes whole rows, so that what it has read stays in registers. For dw each program sums
the rows that it takes, and a second stage adds up the programs' sums.
"""

from typing import Any

import torch
from torch import Tensor

from groundup.kernels.cpu.call import first_order, need
from groundup.kernels.launch import Impl, check_device, jit, of_length, power_of_two, processors, tl

# By the row's length, measured with bfloat16 on an H100, and backward on an H200
# (docs/benchmarks/kernels.md): the rows that a program holds at a time, its warps, and backward the
# programs of a multiprocessor and the tiles that are on their way to one.
_FORWARD = {1024: (8, 16), 2048: (4, 16), 4096: (4, 4), 8192: (1, 4), 16384: (1, 16)}
_BACKWARD = {
    1024: (4, 8, 2, 3),
    2048: (1, 4, 2, 4),
    4096: (2, 4, 2, 2),
    8192: (1, 8, 1, 3),
    16384: (1, 16, 1, 1),
}
_SUMMED = {"ROWS": 128, "COLUMNS": 32, "num_warps": 8}  # of the second stage


def rms_norm(x: Tensor, weight: Tensor, *, eps: float = 1e-6, impl: Impl) -> Tensor:
    """x: [..., N]; weight: [N] → y, of x's shape and format; sums are in float32.

    Raises `InputError` where `impl` cannot run on x's device.
    """
    _check(impl, x, weight)
    if impl == "reference":
        return _reference(x, weight, eps)
    y, _ = _RMSNorm.apply(x, None, weight, eps)
    return y


def add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor, *, eps: float = 1e-6, impl: Impl
) -> tuple[Tensor, Tensor]:
    """x, residual: [..., N] → y and h = x + residual, of their shape and format."""
    _check(impl, x, weight)
    need(x.shape == residual.shape, f"x and residual differ: {x.shape} and {residual.shape}")
    need(x.dtype == residual.dtype, f"x and residual differ: {x.dtype} and {residual.dtype}")
    if impl == "reference":
        h = x + residual
        return _reference(h, weight, eps), h
    return _RMSNorm.apply(x, residual, weight, eps)


def _check(impl: Impl, x: Tensor, weight: Tensor) -> None:
    check_device(impl, x)
    need(weight.shape == x.shape[-1:], f"a weight of {x.shape[-1]}, not of {tuple(weight.shape)}")


def _reference(h: Tensor, weight: Tensor, eps: float) -> Tensor:
    h32 = h.float()
    scale = torch.rsqrt(h32.square().mean(-1, keepdim=True) + eps)
    return (h32 * scale * weight.float()).to(h.dtype)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, residual: Tensor | None, weight: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        width, weight = x.shape[-1], weight.contiguous()
        rows = x.contiguous().view(-1, width)
        others = rows if residual is None else residual.contiguous().view(-1, width)
        y = torch.empty_like(rows)
        h = rows if residual is None else torch.empty_like(rows)
        scales = torch.empty(len(rows), dtype=torch.float32, device=x.device)
        block = power_of_two(width)
        together, warps = of_length(_FORWARD, block)
        _forward[(-(-len(rows) // together),)](
            rows,
            others,
            weight,
            y,
            h,
            scales,
            len(rows),
            eps,
            N=width,
            ADD=residual is not None,
            ROWS=together,
            BLOCK=block,
            num_warps=warps,
        )
        ctx.save_for_backward(h, weight, scales)
        ctx.adds = residual is not None
        ctx.set_materialize_grads(False)
        return y.view_as(x), h.view_as(x)

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        h, weight, scales = ctx.saved_tensors
        dy, dh = grads
        if dy is None:  # h alone was used
            return dh, dh if ctx.adds else None, torch.zeros_like(weight), None
        shape, width = dy.shape, h.shape[-1]
        rows = dy.contiguous().view(-1, width)
        passed = dh is not None and ctx.adds
        others = dh.contiguous().view(-1, width) if passed and dh is not None else rows
        dx = torch.empty_like(rows)
        block = power_of_two(width)
        together, warps, programs, stages = of_length(_BACKWARD, block)
        if rows.element_size() > 2:  # they do not fit
            stages = 1
        elif passed:
            stages = max(1, stages - 1)
        tiles = -(-len(rows) // together)
        programs = min(tiles, programs * processors(h.device))
        sums = torch.empty(programs, width, dtype=torch.float32, device=h.device)
        _backward[(programs,)](
            h,
            rows,
            others,
            weight,
            scales,
            dx,
            sums,
            len(rows),
            tiles,
            N=width,
            ADD=passed,
            ROWS=together,
            BLOCK=block,
            STAGES=stages,
            num_warps=warps,
        )
        dx, dweight = dx.view(shape), torch.empty_like(weight)
        grid = (-(-width // _SUMMED["COLUMNS"]),)
        _sum_rows[grid](sums, dweight, programs, width, **_SUMMED)
        return dx, dx if ctx.adds else None, dweight, None


@jit
def _forward(
    X, R, W, Y, H, SCALES, rows, eps,
    N: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, BLOCK)[None, :]
    inside = (row < rows) & (column < N)
    place = row * N + column
    h = tl.load(X + place, inside, other=0.0)
    if ADD:
        h = (h.to(tl.float32) + tl.load(R + place, inside, other=0.0).to(tl.float32)).to(h.dtype)
        tl.store(H + place, h, inside)
    h = h.to(tl.float32)
    weight = tl.load(W + column, column < N, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(h * h, 1, keep_dims=True) / N + eps)
    tl.store(SCALES + row, scale, row < rows)
    tl.store(Y + place, (h * scale * weight).to(Y.dtype.element_ty), inside)


@jit
def _backward(
    H, DY, DH, W, SCALES, DX, SUMS, rows, tiles,
    N: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    column = tl.arange(0, BLOCK)[None, :]
    weight = tl.load(W + column, column < N, other=0.0).to(tl.float32)
    total = tl.zeros((ROWS, BLOCK), tl.float32)
    for tile in tl.range(tl.program_id(0), tiles, tl.num_programs(0), num_stages=STAGES):
        row = tl.cast(tile, tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
        inside = (row < rows) & (column < N)
        place = row * N + column
        scale = tl.load(SCALES + row, row < rows, other=0.0)
        normed = tl.load(H + place, inside, other=0.0).to(tl.float32) * scale
        dy = tl.load(DY + place, inside, other=0.0).to(tl.float32)
        total += dy * normed
        g = dy * weight
        dx = scale * (g - normed * (tl.sum(g * normed, 1, keep_dims=True) / N))
        if ADD:
            dx += tl.load(DH + place, inside, other=0.0).to(tl.float32)
        tl.store(DX + place, dx.to(DX.dtype.element_ty), inside)
    sums = tl.sum(total, 0, keep_dims=True)
    tl.store(SUMS + tl.program_id(0) * N + column, sums, column < N)


@jit
def _sum_rows(X, Y, rows, N, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """X: float32 [rows, N] → Y, the sum of its rows; a program has some columns."""
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, rows, ROWS):
        row = start + tl.arange(0, ROWS)[:, None]
        total += tl.load(X + row * N + column, (row < rows) & (column < N), other=0.0)
    y = tl.sum(total, 0, keep_dims=True)
    tl.store(Y + column, y.to(Y.dtype.element_ty), column < N)
