"""A matrix times a vector: what a layer is to a single token.

    y = W · x    or, with weights in eight bits,  y = s · (W · x)

The work is reading W, two bytes a weight in bfloat16 for two FLOPs; matrix units are of no use. A
program has a few outputs, and reads their weights a thousand at a time, the next while it adds up
these. A library's product of matrices is made for many rows: it fills tiles of which one row is
needed, and takes a second kernel to add up parts.
"""

import torch
from torch import Tensor

from groundup.kernels.cpu.call import need
from groundup.kernels.launch import Impl, check_device, jit, tl

# Outputs of a program, weights of each that it has at a time, warps, and loads on their way.
# Measured on an H200 with bfloat16 (docs/benchmarks/kernels.md).
_OUTPUTS, _DEPTH, _WARPS, _STAGES = 4, 1024, 4, 3


def matvec(x: Tensor, weight: Tensor, *, scales: Tensor | None = None, impl: Impl) -> Tensor:
    """x: [..., D], one row; weight: [O, D], of x's format or int8 → [..., O], of x's format.

    scales: [O], what outputs are multiplied by. Sums are in float32. There are no gradients.

    Raises `InputError` where `impl` cannot run on x's device.
    """
    check_device(impl, x)
    outputs, inner = weight.shape
    need(x.numel() == inner == x.shape[-1], f"one row of {inner} is needed, not {tuple(x.shape)}")
    need(scales is None or scales.shape == (outputs,), f"scales of {outputs} outputs are needed")
    if impl == "reference":
        y = weight.float() @ x.float().flatten()
        y = (y if scales is None else y * scales.float()).to(x.dtype)
    else:
        x, weight = x.contiguous(), weight.contiguous()
        y = torch.empty(outputs, dtype=x.dtype, device=x.device)
        _matvec[(-(-outputs // _OUTPUTS),)](
            *(x, weight, x if scales is None else scales, y, inner, outputs),
            SCALED=scales is not None,
            OUTPUTS=_OUTPUTS,
            DEPTH=_DEPTH,
            STAGES=_STAGES,
            num_warps=_WARPS,
        )
    return y.view(*x.shape[:-1], outputs)


@jit
def _matvec(
    X, W, SCALES, Y, inner, outputs,
    SCALED: tl.constexpr, OUTPUTS: tl.constexpr, DEPTH: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    output = (tl.program_id(0) * OUTPUTS + tl.arange(0, OUTPUTS)).to(tl.int64)
    known = output < outputs
    total = tl.zeros((OUTPUTS, DEPTH), tl.float32)
    for start in tl.range(0, inner, DEPTH, num_stages=STAGES):
        place = start + tl.arange(0, DEPTH)
        inside = place < inner
        x = tl.load(X + place, inside, other=0.0).to(tl.float32)
        there = W + output[:, None] * inner + place[None, :]
        w = tl.load(there, known[:, None] & inside[None, :], other=0)
        total += w.to(tl.float32) * x[None, :]
    y = tl.sum(total, 1)
    if SCALED:
        y *= tl.load(SCALES + output, known, other=0.0).to(tl.float32)
    tl.store(Y + output, y.to(Y.dtype.element_ty), known)
