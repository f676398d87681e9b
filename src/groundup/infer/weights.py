"""The linear layers of a model that generates.

A pass over few tokens takes the time of reading the weights. So they are read once for all rows, by
the compiled core where there is one, and may be held in eight bits a number, which halves that
time: each output's weights are whole numbers from −127 to 127 with one scale; see
`kernels.cpu.product`.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from groundup.kernels import cpu
from groundup.layers.latent import LatentAttention

Weights = Literal["compute", "int8"]

# Rows up to which the core's product is the faster one; see docs/benchmarks/inference.md.
_FEW = 16


def serve(model: nn.Module, weights: Weights) -> None:
    """Replace the linear layers of a model by ones that serve. weights: in what they are held, the
    format that they have or eight bits."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            # What is taken apart at each pass (see `layers.latent`) stays as it is.
            if type(child) is nn.Linear and not (
                isinstance(parent, LatentAttention) and name == "up"
            ):
                setattr(parent, name, ServingLinear(child, weights))


class ServingLinear(nn.Module):
    """y = x · Wᵀ + b."""

    def __init__(self, linear: nn.Linear, weights: Weights):
        super().__init__()
        self.dtype = linear.weight.dtype
        bias = linear.bias
        self.bias = None if bias is None else bias.detach()
        self.bias32 = None if bias is None else bias.detach().float()
        self.kept, self.scales = linear.weight.detach(), None
        if weights == "int8":
            self.kept, self.scales = cpu.quantized(self.kept)

    @property
    def weight(self) -> Tensor:
        """[outputs, inner], in the format of the model."""
        if self.scales is None:
            return self.kept
        return (self.kept * self.scales[:, None]).to(self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., inner] → [..., outputs]."""
        few = x.numel() <= _FEW * x.shape[-1]
        if few and cpu.takes(x) and x.dtype == self.dtype:
            return cpu.few_rows(x, self.kept, self.bias32, self.scales)
        return F.linear(x, self.weight, self.bias)
