"""The position-wise network: SwiGLU (Shazeer 2020, "GLU variants improve Transformer", eq. 6)."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class SwiGLU:
    """hidden: width of the inner layer; 8/3 · D costs what a plain MLP of 4 · D does."""

    hidden: int

    def build(self, width: int) -> "GatedMLP":
        return GatedMLP(self, width)


class GatedMLP(nn.Module):
    """down(silu(gate(x)) · up(x)), without biases."""

    def __init__(self, config: SwiGLU, width: int):
        super().__init__()
        self.gate = nn.Linear(width, config.hidden, bias=False)
        self.up = nn.Linear(width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, T, D] → [B, T, D]."""
        return self.down(F.silu(self.gate(x)) * self.up(x))
