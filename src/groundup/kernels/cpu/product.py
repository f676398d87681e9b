"""y = x · Wᵀ (+ b) for few rows of x, as a model that generates has them: what takes time is
reading the weights, which is done once for all rows.

Weights are in the format of x, or whole numbers of eight bits with a scale for each output:
w = s · q, s = max |w| / 127. Sums are float32, each in an order that other rows do not change.
"""

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import FORMATS, address, need


class FewRows:
    """The product with weights that stay where they are: what they are is looked at once, since a
    model that generates has little time for more."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None, scales: Tensor | None = None):
        """weight: [outputs, inner] in the format of x, or int8 with scales, float32 [outputs];
        bias: float32 [outputs]."""
        outputs, inner = weight.shape
        wanted = FORMATS if scales is None else (torch.int8,)
        need(weight.dtype in wanted, f"weights are {wanted}, not {weight.dtype}")
        need(weight.is_contiguous(), "weights are dense")
        for vector in (bias, scales):
            fits = vector is None or (vector.dtype == torch.float32 and vector.shape == (outputs,))
            need(fits, f"biases and scales are float32, {outputs} of them")
        assert core is not None
        self._held = weight, bias, scales  # their addresses are given away
        self.format = None if scales is not None else weight.dtype  # of x; None for any
        self.inner, self.outputs = inner, outputs
        weights, of_outputs, added = map(address, (weight, scales, bias))
        self.matrix = core.Matrix(weights, of_outputs, added, inner, outputs)

    def __call__(self, x: Tensor) -> Tensor:
        """x: [..., inner] → [..., outputs] in the format of x. There is no gradient."""
        assert core is not None
        need(x.shape[-1] == self.inner, f"rows of {self.inner} are needed, not of {x.shape[-1]}")
        need(x.dtype == self.format or self.format is None, "formats differ")
        need(x.dtype in FORMATS, "formats differ")
        x = x.contiguous()
        y = x.new_empty(*x.shape[:-1], self.outputs)
        rows = x.numel() // self.inner
        narrow = x.dtype == torch.bfloat16
        core.product(torch.get_num_threads(), narrow, self.matrix, x.data_ptr(), y.data_ptr(), rows)
        return y


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest whole numbers of eight bits and their scales: int8 [outputs, inner], float32
    [outputs]. (Jacob et al. 2018, section 2.1, symmetric and for each output.)"""
    scales = weight.float().abs().amax(1).clamp(min=1e-12) / 127
    return (weight.float() / scales[:, None]).round().to(torch.int8), scales
