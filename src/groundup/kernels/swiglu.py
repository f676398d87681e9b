"""The gate of SwiGLU (Shazeer 2020, "GLU variants improve Transformer", equation 6).

    y = silu(g) · u,  silu(g) = g · s,  s = σ(g)

Backward, s is computed anew from g, so that nothing is stored besides the inputs:

    dg = dy · u · s · (1 + g · (1 − s))        du = dy · g · s

The work is moving bytes. Of an element, forward reads two numbers and writes one, backward reads
three and writes two: in bfloat16 6 and 10 bytes, for some 5 and 10 FLOPs and an exponential. One
operation after the other, PyTorch moves 10 and 18 bytes, and keeps silu(g) in between.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.kernels.cpu.call import first_order, need
from groundup.kernels.launch import Impl, check_device, jit, tl

# Elements of a program and its warps: 16 bytes of each input for each thread in bfloat16.
_BLOCK, _WARPS = 1024, 4


def silu_gate(gate: Tensor, up: Tensor, *, impl: Impl) -> Tensor:
    """gate, up: [..., W] of one shape and format, in rows that may stand apart → silu(gate) · up,
    computed in float32.

    Raises `InputError` where `impl` cannot run on their device.
    """
    check_device(impl, gate)
    need(gate.shape == up.shape, f"gate and up differ: {gate.shape} and {up.shape}")
    need(gate.dtype == up.dtype, f"gate and up differ: {gate.dtype} and {up.dtype}")
    if impl == "reference":
        return (F.silu(gate.float()) * up.float()).to(gate.dtype)
    return _SiluGate.apply(gate, up)


class _SiluGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        gate_rows, up_rows = _rows(gate), _rows(up)
        if gate_rows.is_contiguous() and up_rows.is_contiguous():
            gate_rows, up_rows = gate_rows.view(1, -1), up_rows.view(1, -1)
        y = torch.empty(gate.shape, dtype=gate.dtype, device=gate.device)
        rows, width = gate_rows.shape
        blocks = -(-width // _BLOCK)
        _forward[(rows * blocks,)](
            *(gate_rows, up_rows, y, gate_rows.stride(0), up_rows.stride(0), width, blocks),
            BLOCK=_BLOCK,
            num_warps=_WARPS,
        )
        ctx.save_for_backward(gate, up)
        return y

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = (x.contiguous() for x in ctx.saved_tensors)
        dy = grads[0].contiguous()
        dgate, dup = torch.empty_like(gate), torch.empty_like(up)
        count = gate.numel()
        _backward[(-(-count // _BLOCK),)](
            gate, up, dy, dgate, dup, count, BLOCK=_BLOCK, num_warps=_WARPS
        )
        return dgate, dup


def _rows(x: Tensor) -> Tensor:
    """[rows, W], each row's numbers together."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return rows if rows.stride(1) == 1 else rows.contiguous()


@jit
def _forward(GATE, UP, Y, gate_stride, up_stride, width, blocks, BLOCK: tl.constexpr):
    row = (tl.program_id(0) // blocks).to(tl.int64)
    place = (tl.program_id(0) % blocks).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < width
    gate = tl.load(GATE + row * gate_stride + place, inside, other=0.0).to(tl.float32)
    up = tl.load(UP + row * up_stride + place, inside, other=0.0).to(tl.float32)
    y = gate * _sigmoid(gate) * up
    tl.store(Y + row * width + place, y.to(Y.dtype.element_ty), inside)


@jit
def _backward(GATE, UP, DY, DGATE, DUP, count, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    gate = tl.load(GATE + place, inside, other=0.0).to(tl.float32)
    up = tl.load(UP + place, inside, other=0.0).to(tl.float32)
    dy = tl.load(DY + place, inside, other=0.0).to(tl.float32)
    s = _sigmoid(gate)
    dgate = dy * up * s * (1 + gate * (1 - s))
    tl.store(DGATE + place, dgate.to(DGATE.dtype.element_ty), inside)
    tl.store(DUP + place, (dy * gate * s).to(DUP.dtype.element_ty), inside)


@jit
def _sigmoid(x):
    """1 / (1 + exp(−x)), by an exponential that cannot overflow."""
    small = tl.exp(-tl.abs(x))
    return tl.where(x < 0, small, 1.0) / (1 + small)
