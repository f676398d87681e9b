"""The gate of a SwiGLU (Shazeer 2020): y = g · σ(g) · u.

Backward, with s = σ(g): dg = dy · u · s · (1 + g · (1 − s)) and du = dy · g · s.
"""

from typing import Any

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call, first_order, need


def silu_gate(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) · up, of one shape and format."""
    need(gate.shape == up.shape, f"gate and up differ: {gate.shape} and {up.shape}")
    need(gate.dtype == up.dtype, f"gate and up differ: {gate.dtype} and {up.dtype}")
    return _SiluGate.apply(gate, up)


class _SiluGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        assert core is not None
        gate, up = gate.contiguous(), up.contiguous()
        y = torch.empty_like(gate)
        call(core.gate, gate, gate, up, y, gate.numel())
        ctx.save_for_backward(gate, up)
        return y

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        assert core is not None
        gate, up = ctx.saved_tensors
        dgate, dup = torch.empty_like(gate), torch.empty_like(up)
        call(core.gate_back, gate, gate, up, grads[0].contiguous(), dgate, dup, gate.numel())
        return dgate, dup
