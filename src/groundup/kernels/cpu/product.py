"""y = x · Wᵀ (+ b) for few rows of x, as a model that generates has them: what takes time is
reading the weights, which is done once for all rows.

Weights are in the format of x, or whole numbers of eight bits with a scale for each output:
w = s · q, s = max |w| / 127. Sums are float32, each in an order that other rows do not change.
"""

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import call, need


def few_rows(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, scales: Tensor | None = None
) -> Tensor:
    """x: [..., inner]; weight: [outputs, inner] in the format of x, or int8 with scales, float32
    [outputs]; bias: float32 [outputs] → [..., outputs] in the format of x. There is no gradient."""
    assert core is not None
    outputs, inner = weight.shape
    need(x.shape[-1] == inner, f"rows of {inner} are needed, not of {x.shape[-1]}")
    need(weight.dtype == (x.dtype if scales is None else torch.int8), "formats differ")
    for vector in (bias, scales):
        fits = vector is None or (vector.dtype == torch.float32 and vector.shape == (outputs,))
        need(fits, f"biases and scales are float32, {outputs} of them")
    x = x.contiguous()
    y = x.new_empty(*x.shape[:-1], outputs)
    call(core.product, x, x, weight, scales, bias, y, x.numel() // inner, inner, outputs)
    return y


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest whole numbers of eight bits and their scales: int8 [outputs, inner], float32
    [outputs]. (Jacob et al. 2018, section 2.1, symmetric and for each output.)"""
    scales = weight.float().abs().amax(1).clamp(min=1e-12) / 127
    return (weight.float() / scales[:, None]).round().to(torch.int8), scales
