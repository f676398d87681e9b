"""The position-wise network: plain (Vaswani et al. 2017, section 3.3) or gated (Shazeer 2020, "GLU
variants improve Transformer").
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from groundup.kernels import cpu

Activation = Literal["relu", "gelu", "gelu_tanh", "silu", "relu2", "sigmoid"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,  # x · Φ(x) (Hendrycks and Gimpel 2016)
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # the same paper's approximation, of GPT-2
    "silu": F.silu,  # x · σ(x), also called swish
    "relu2": lambda x: F.relu(x).square(),  # So et al. 2021, "Primer", section 4
    "sigmoid": lambda x: x.sigmoid(),
}


@dataclass(frozen=True, kw_only=True)
class MLP:
    """down(activation(up(x))). hidden: width of the inner layer, in most models 4 · D."""

    hidden: int
    activation: Activation = "gelu"
    bias: bool = False

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ValueError(f"hidden ({self.hidden}) must be positive")

    def build(self, width: int) -> "PlainMLP":
        return PlainMLP(self, width)

    def matrix_parameters(self, width: int) -> int:
        """Weights that multiply every token."""
        return 2 * width * self.hidden


@dataclass(frozen=True, kw_only=True)
class GLU:
    """down(activation(gate(x)) · up(x)): with silu SwiGLU, with gelu GEGLU, with relu ReGLU.

    hidden: width of the inner layer; 8/3 · D costs what a plain MLP of 4 · D does.
    """

    hidden: int
    activation: Activation = "silu"
    bias: bool = False

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ValueError(f"hidden ({self.hidden}) must be positive")

    def build(self, width: int) -> "GatedMLP":
        return GatedMLP(self, width)

    def matrix_parameters(self, width: int) -> int:
        """Weights that multiply every token."""
        return 3 * width * self.hidden


class PlainMLP(nn.Module):
    """See `MLP`."""

    def __init__(self, config: MLP, width: int):
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        self.up = nn.Linear(width, config.hidden, bias=config.bias)
        self.down = nn.Linear(config.hidden, width, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., D] → [..., D]."""
        return self.down(self.activation(self.up(x)))

    def writes(self) -> list[Tensor]:
        """The weights that write to the residual stream."""
        return [self.down.weight]


class GatedMLP(nn.Module):
    """See `GLU`."""

    def __init__(self, config: GLU, width: int):
        super().__init__()
        self.silu = config.activation == "silu"
        self.activation = ACTIVATIONS[config.activation]
        self.gate = nn.Linear(width, config.hidden, bias=config.bias)
        self.up = nn.Linear(width, config.hidden, bias=config.bias)
        self.down = nn.Linear(config.hidden, width, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., D] → [..., D]."""
        gate, up = self.gate(x), self.up(x)
        if self.silu and cpu.takes(gate, up):
            return self.down(cpu.silu_gate(gate, up))
        return self.down(self.activation(gate) * up)

    def writes(self) -> list[Tensor]:
        """The weights that write to the residual stream."""
        return [self.down.weight]
