"""y = x · Wᵀ (+ b) for few rows of x, as a model that generates has them: what takes time is
reading the weights, which is done once for all rows.

Weights are in the format of x, or whole numbers of eight bits with a scale for each output:
w = s · q, s = max |w| / 127. Sums are float32, each in an order that other rows do not change.
"""

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import need

_FORMATS = (torch.float32, torch.bfloat16)


class FewRows:
    """The product with weights that stay where they are: what they are is looked at once, since a
    model that generates has little time for more."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None, scales: Tensor | None = None):
        """weight: [outputs, inner] in the format of x, or int8 with scales, float32 [outputs];
        bias: float32 [outputs]."""
        outputs, inner = weight.shape
        wanted = _FORMATS if scales is None else (torch.int8,)
        need(weight.dtype in wanted, f"weights are {wanted}, not {weight.dtype}")
        need(weight.is_contiguous(), "weights are dense")
        for vector in (bias, scales):
            fits = vector is None or (vector.dtype == torch.float32 and vector.shape == (outputs,))
            need(fits, f"biases and scales are float32, {outputs} of them")
        self._held = weight, bias, scales  # their addresses are given away
        self._format = None if scales is not None else weight.dtype
        self._weight = weight.data_ptr()
        self._scales, self._bias = (0 if t is None else t.data_ptr() for t in (scales, bias))
        self._sizes = inner, outputs

    def __call__(self, x: Tensor) -> Tensor:
        """x: [..., inner] → [..., outputs] in the format of x. There is no gradient."""
        assert core is not None
        inner, outputs = self._sizes
        need(x.shape[-1] == inner, f"rows of {inner} are needed, not of {x.shape[-1]}")
        need(x.dtype == self._format or self._format is None, "formats differ")
        need(x.dtype in _FORMATS, "formats differ")
        x = x.contiguous()
        y = x.new_empty(*x.shape[:-1], outputs)
        core.product(
            torch.get_num_threads(),
            x.dtype == torch.bfloat16,
            x.data_ptr(),
            self._weight,
            self._scales,
            self._bias,
            y.data_ptr(),
            x.numel() // inner,
            inner,
            outputs,
        )
        return y


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest whole numbers of eight bits and their scales: int8 [outputs, inner], float32
    [outputs]. (Jacob et al. 2018, section 2.1, symmetric and for each output.)"""
    scales = weight.float().abs().amax(1).clamp(min=1e-12) / 127
    return (weight.float() / scales[:, None]).round().to(torch.int8), scales
