"""The matrices of a model that generates.

A pass over few tokens takes the time of reading the weights. So they are read once for all rows, by
the compiled core where there is one, and may be held in eight bits a number, which halves that
time: each output's weights are whole numbers from −127 to 127 with one scale; see
`kernels.cpu.product`.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.infer.large_pages import LargePages
from groundup.kernels import cpu

Weights = Literal["compute", "int8"]

# Rows up to which the core's product is the faster one; see docs/benchmarks/inference.md.
MOST_ROWS = 64


class Serving(nn.Module):
    """A module that has no hooks to look for when it is called, which takes as long as a small
    operation."""

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        return self.forward(*inputs, **named)


class ServingLinear(Serving):
    """y = x · Wᵀ + b, of one layer or of several that read the same x, one behind the other."""

    def __init__(self, layers: Sequence[nn.Linear], *, weights: Weights, room: LargePages):
        """room: where the weights are to stand."""
        super().__init__()
        first = layers[0]
        self.dtype = first.weight.dtype
        self.scales: Tensor | None = None
        self.kept = first.weight.detach()
        if len(layers) > 1:
            self.kept = torch.cat([layer.weight.detach() for layer in layers])
        biases = [
            layer.weight.new_zeros(layer.out_features)
            if layer.bias is None
            else layer.bias.detach()
            for layer in layers
        ]
        biased = any(layer.bias is not None for layer in layers)
        self.bias = torch.cat(biases) if biased else None
        self.bias32 = None if self.bias is None else self.bias.float()
        if weights == "int8":
            self.kept, self.scales = cpu.quantized(self.kept)
        self.kept = room.keep(self.kept)
        if weights == "compute" and len(layers) == 1:  # an embedding may have the same
            first.weight.data = self.kept
        self._few = MOST_ROWS * self.kept.shape[1]
        on_cpu = self.kept.device.type == "cpu" and self.dtype in (torch.float32, torch.bfloat16)
        self.in_core: cpu.FewRows | None = None
        if cpu.HAS_LOOPS and on_cpu:
            self.in_core = cpu.FewRows(self.kept, self.bias32, self.scales)

    @property
    def weight(self) -> Tensor:
        """[outputs, inner], in the format of the model."""
        if self.scales is None:
            return self.kept
        return (self.kept * self.scales[:, None]).to(self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., inner] → [..., outputs]."""
        if self.in_core is not None and x.numel() <= self._few and x.dtype == self.dtype:
            return self.in_core(x)
        return F.linear(x, self.weight, self.bias)
