"""y = x · Wᵀ (+ b), as a model that generates has them: over few rows of x in the time of reading
the weights from memory once, over many in that of the multiplications.

Weights stand in panels of 64 outputs, in the order in which they are read: the numbers of all
outputs of a panel for one column of x (for two, in bfloat16, which the processor multiplies in
pairs), then those for the next. They are in the format of x, or whole numbers of eight bits with a
scale for each output: w = s · q, s = max |w| / 127. Sums are float32, each in the order of the
columns, so that neither the other rows nor the threads change a bit of them.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.core.native import core
from groundup.kernels.cpu.call import FORMATS, address, need

_PANEL = 64  # layers.h has the same
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32}  # formats of so many bytes


def _together(dtype: torch.dtype) -> int:
    """Columns of x whose weights stand side by side."""
    return 2 if dtype == torch.bfloat16 else 1


def packed(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Weights [outputs, inner] in panels, for x in a format: [panels, inner / 1 or 2, 64], each
    element one or two numbers, as an integer of their bytes. What is missing at both ends is
    zero."""
    outputs, inner = weight.shape
    together = _together(dtype)
    whole = F.pad(weight, (0, -inner % together, 0, -outputs % _PANEL)).contiguous()
    units = whole.view(_WHOLE[together * weight.itemsize])  # moved as they are
    return units.view(-1, _PANEL, units.shape[1]).transpose(1, 2).contiguous()


class PackedMatrix:
    """The product with weights that stay where they are: what they are is looked at once, since a
    model that generates has little time for more."""

    def __init__(
        self,
        panels: Tensor,
        shape: tuple[int, int],
        dtype: torch.dtype,
        *,
        bias: Tensor | None = None,
        scales: Tensor | None = None,
    ):
        """panels: as `packed` makes them of weights of this shape, [outputs, inner], in the format
        of x, or of int8 with scales, float32 [outputs]. dtype: of x. bias: float32 [outputs]."""
        outputs, inner = shape
        need(dtype in FORMATS, f"x is {FORMATS}, not {dtype}")
        together = _together(dtype)
        unit = _WHOLE[together * (dtype.itemsize if scales is None else 1)]
        wanted = (-(-outputs // _PANEL), -(-inner // together), _PANEL)
        fits = panels.shape == wanted and panels.dtype == unit
        need(fits, f"weights are {unit} {wanted}, not {panels.dtype} {tuple(panels.shape)}")
        for vector in (bias, scales):
            fits = vector is None or (vector.dtype == torch.float32 and vector.shape == (outputs,))
            need(fits, f"biases and scales are float32, {outputs} of them")
        assert core is not None
        self._held = bias, scales  # their addresses are given away
        self.panels, self.scales, self.dtype = panels, scales, dtype
        self.inner, self.outputs = inner, outputs
        weights, of_outputs, added = map(address, (panels, scales, bias))
        self.in_core = core.Matrix(weights, of_outputs, added, inner, outputs)

    def __call__(self, x: Tensor) -> Tensor:
        """x: [..., inner] → [..., outputs] in the format of x. There is no gradient."""
        assert core is not None
        need(x.shape[-1] == self.inner, f"rows of {self.inner} are needed, not of {x.shape[-1]}")
        need(x.dtype == self.dtype, "formats differ")
        x = x.contiguous()
        y = x.new_empty(*x.shape[:-1], self.outputs)
        rows = x.numel() // self.inner
        narrow = x.dtype == torch.bfloat16
        core.product(
            torch.get_num_threads(), narrow, self.in_core, x.data_ptr(), y.data_ptr(), rows
        )
        return y

    def dense(self) -> Tensor:
        """The weights, [outputs, inner] in the format of x, in a memory of their own."""
        kept = self.dtype if self.scales is None else torch.int8
        rows = self.panels.transpose(1, 2).flatten(0, 1).contiguous().view(kept)
        rows = rows[: self.outputs, : self.inner]
        return rows if self.scales is None else (rows * self.scales[:, None]).to(self.dtype)

    def rows(self, outputs: Tensor) -> Tensor:
        """The weights of some outputs, as an embedding has them: integers [...] → [..., inner]."""
        need(self.scales is None, "an embedding is not of bytes")
        units = self.panels[outputs // _PANEL, :, outputs % _PANEL]
        return units.contiguous().view(self.dtype)[..., : self.inner]


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest whole numbers of eight bits and their scales: int8 [outputs, inner], float32
    [outputs]. (Jacob et al. 2018, section 2.1, symmetric and for each output.)"""
    scales = weight.float().abs().amax(1).clamp(min=1e-12) / 127
    return (weight.float() / scales[:, None]).round().to(torch.int8), scales
