"""The matrices of a model that generates.

The compiled core, where there is one, has an order of its own in which it reads them; see
`kernels.cpu.product`. A GPU reads them for a single token by `kernels.matvec`. A pass over few
tokens takes the time of reading the weights: in eight bits a number that is half as long. Each
output's weights are then whole numbers from −127 to 127 with one scale.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.infer.large_pages import LargePages
from groundup.kernels import at_hand, cpu

# PyTorch multiplies by tiles, where a processor has them (AMX), several times as fast as the core's
# units do: for many rows that pays for putting the weights back into PyTorch's order. Chosen by the
# data sheets, and not yet measured.
_HAS_TILES = torch.cpu._is_amx_tile_supported()
_MANY = 256

Weights = Literal["compute", "int8"]


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
        matrices = [layer.weight.detach() for layer in layers]
        weight = torch.cat(matrices) if layers[1:] else matrices[0]
        self.dtype = weight.dtype
        biases = [
            layer.weight.new_zeros(layer.out_features)
            if layer.bias is None
            else layer.bias.detach()
            for layer in layers
        ]
        biased = any(layer.bias is not None for layer in layers)
        self.bias = torch.cat(biases) if biased else None
        self.scales: Tensor | None = None
        shape = (weight.shape[0], weight.shape[1])
        if weights == "int8":
            weight, self.scales = cpu.quantized(weight)
        self.in_core: cpu.PackedMatrix | None = None
        self.kept: Tensor | None = None
        on_cpu = weight.device.type == "cpu" and self.dtype in (torch.float32, torch.bfloat16)
        if cpu.HAS_LOOPS and on_cpu:
            self.in_core = cpu.PackedMatrix(
                room.keep(cpu.packed(weight, self.dtype)),
                shape,
                self.dtype,
                bias=None if self.bias is None else self.bias.float(),
                scales=self.scales,
            )
        else:
            self.kept = weight
        self._single: Callable[..., Tensor] | None = None
        if at_hand.has_kernels(weight.device):
            from groundup.kernels.matvec import matvec

            self._single = partial(matvec, impl="triton")

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., inner] → [..., outputs]."""
        many = _HAS_TILES and self.dtype == torch.bfloat16 and x.numel() > _MANY * x.shape[-1]
        if self.in_core is not None and not many:
            return self.in_core(x)
        if self.in_core is not None:
            return F.linear(x, self.in_core.dense(), self.bias)
        assert self.kept is not None
        weight = self.kept
        if self._single is not None and x.numel() == x.shape[-1]:
            y = self._single(x, weight, scales=self.scales)
            return y if self.bias is None else y + self.bias
        if self.scales is not None:
            weight = (weight * self.scales[:, None]).to(self.dtype)
        return F.linear(x, weight, self.bias)


class ServingEmbedding(Serving):
    """An embedding whose matrix is a head's, too, and held once."""

    def __init__(self, matrix: cpu.PackedMatrix):
        super().__init__()
        self.matrix = matrix
        # By which a model without any other parameter has a format.
        self.panels = nn.Parameter(matrix.panels.view(matrix.dtype), requires_grad=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: integers [...] → [..., inner]."""
        return self.matrix.rows(tokens)
