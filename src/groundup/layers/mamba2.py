"""Mamba-2's mixer (Dao and Gu 2024, section 7.1): one projection gives gate, input, B, C and time
step; then a short convolution, the scan, a gated norm and a projection back.

A head's state is a matrix of constant size, whatever the length of the text, and all that a cache
holds beside the last positions of the convolution.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers.attend import Implementation
from groundup.layers.cache import Bias, Cache, KeysValues
from groundup.layers.convolution import ShortConvolution
from groundup.layers.rope import Rotation
from groundup.layers.ssd import chunked_scan, scan


@dataclass(frozen=True, kw_only=True)
class Mamba2:
    """heads: H. head_width: P; the inner width is H · P. state: N, of each head's state P × N.
    groups: sets of B and C, of which each serves H / groups heads, and parts that are normalised
    together. convolution: positions that it sees. chunk: positions computed together.

    bias: of the projections; convolution_bias. least_step, most_step: limits of the time step;
    None for none.
    """

    heads: int
    head_width: int
    state: int
    groups: int = 1
    convolution: int = 4
    chunk: int = 64
    eps: float = 1e-5
    bias: bool = False
    convolution_bias: bool = True
    least_step: float = 0.0
    most_step: float | None = None

    def __post_init__(self) -> None:
        sizes = min(self.heads, self.head_width, self.state, self.groups)
        if min(sizes, self.convolution, self.chunk) < 1:
            raise ValueError(
                "heads, head_width, state, groups, convolution and chunk must be positive"
            )
        if self.heads % self.groups:
            raise ValueError(f"groups ({self.groups}) must divide heads ({self.heads})")

    def build(self, width: int) -> "Mamba2Mixer":
        return Mamba2Mixer(self, width)

    @property
    def window(self) -> None:
        """There is no mask."""
        return

    @property
    def rotated_width(self) -> int:
        """Nothing is rotated."""
        return 0

    @property
    def cached(self) -> None:
        """A cache holds a state, and neither keys nor values."""
        return

    @property
    def carried(self) -> int:
        """Numbers of the state of a sequence."""
        return self.convolved * (self.convolution - 1) + self.inner * self.state

    @property
    def inner(self) -> int:
        """The width of what the scan reads, and writes."""
        return self.heads * self.head_width

    @property
    def convolved(self) -> int:
        """Channels of the convolution: input, B and C."""
        return self.inner + 2 * self.groups * self.state

    def matrix_parameters(self, width: int) -> int:
        """Weights that multiply every token."""
        return width * (self.inner + self.convolved + self.heads) + self.inner * width

    def mixing_flops(self, tokens: int, *, causal: bool) -> int:
        """FLOPs of the chunked scan over one sequence. causal: of the pairs within a chunk only
        those that are needed."""
        chunk = min(self.chunk, tokens)
        padded = -(-tokens // chunk) * chunk
        pairs = tokens * (chunk + 1) // 2 if causal else padded * chunk
        length = tokens if causal else padded
        within = 2 * pairs * (self.groups * self.state + self.inner)
        return within + 4 * length * self.inner * self.state


class Mamba2State(NamedTuple):
    """convolution: its inputs at the last positions, [B, channels, convolution − 1].
    scan: [B, H, P, N]."""

    convolution: Tensor
    scan: Tensor


class Mamba2Mixer(nn.Module):
    """See `Mamba2`."""

    def __init__(self, config: Mamba2, width: int):
        super().__init__()
        c = self.config = config
        self.input = nn.Linear(width, c.inner + c.convolved + c.heads, bias=c.bias)
        self.convolution = ShortConvolution(c.convolved, c.convolution, bias=c.convolution_bias)
        self.step_bias = nn.Parameter(torch.zeros(c.heads))
        self.log_rate = nn.Parameter(torch.zeros(c.heads))
        self.skip = nn.Parameter(torch.ones(c.heads))
        self.norm = nn.Parameter(torch.ones(c.inner))
        self.output = nn.Linear(c.inner, width, bias=c.bias)

    def initialize(self, generator: torch.Generator, gain: float) -> None:  # noqa: ARG002
        """Rates of decay from 1 to 16, time steps from 0.001 to 0.1, evenly on a logarithmic scale,
        as in the paper's code; the convolution as torch's own."""
        self.convolution.initialize(generator)
        draw_step_bias(self.step_bias, generator)
        with torch.no_grad():
            self.log_rate.uniform_(1, 16, generator=generator).log_()

    def forward(
        self,
        x: Tensor,
        *,
        rotation: Rotation | None = None,  # noqa: ARG002
        interleaved: bool = False,  # noqa: ARG002
        mask: Tensor | None = None,  # noqa: ARG002
        bias: Tensor | Bias | None = None,  # noqa: ARG002
        documents: Tensor | None = None,
        cache: Cache | None = None,
        layer: int = 0,
        borrowed: KeysValues | None = None,  # noqa: ARG002
        implementation: Implementation = "sdpa",
    ) -> tuple[Tensor, None]:
        """x: [B, T, D] → [B, T, D], and nothing that another layer could borrow.

        documents: integers [B, T]; neither convolution nor state crosses from one to the next.
        implementation: "reference" follows the recurrence position by position.
        """
        run = (
            scan
            if implementation == "reference"
            else partial(chunked_scan, chunk=self.config.chunk)
        )
        if cache is None:
            return self.mix(x, documents=documents, run=run)[0], None
        return cache.carry(layer, x, partial(self.mix, run=run)), None

    def mix(
        self,
        x: Tensor,
        state: Mamba2State | None = None,
        *,
        documents: Tensor | None = None,
        run: Callable[..., tuple[Tensor, Tensor]] = chunked_scan,
    ) -> tuple[Tensor, Mamba2State]:
        """x: [B, T, D] → [B, T, D], and the state after x.

        documents: integers [B, T]; nothing crosses a place where the number changes.
        state: what came before x, of the document of x's first position; None at the beginning.
        """
        c, (batch, T, _) = self.config, x.shape
        tail, before = (None, None) if state is None else state
        gate, inner, step = self.input(x).split((c.inner, c.convolved, c.heads), dim=-1)
        inner, tail = self.convolution(inner, tail, documents=documents)
        value, B, C = F.silu(inner).split((c.inner, c.groups * c.state, c.groups * c.state), dim=-1)
        step = F.softplus(step.float() + self.step_bias.float()).clamp(c.least_step, c.most_step)
        value = value.view(batch, T, c.heads, c.head_width)
        B, C = (part.view(batch, T, c.groups, c.state) for part in (B, C))
        scanned = value * step[..., None].to(value.dtype)
        log_decay = -self.log_rate.float().exp() * step
        y, after = run(scanned, log_decay, B, C, before, documents=documents)
        y = y + value * self.skip[:, None].to(value.dtype)
        mixed = self.output(self._normalize(y.reshape(batch, T, -1), gate))
        return mixed, Mamba2State(tail, after)

    def _normalize(self, y: Tensor, gate: Tensor) -> Tensor:
        """RMSNorm of the gated output, within each group."""
        gated = (y.float() * F.silu(gate.float())).unflatten(-1, (self.config.groups, -1))
        scale = torch.rsqrt(gated.square().mean(-1, keepdim=True) + self.config.eps)
        return ((gated * scale).flatten(-2) * self.norm.float()).to(gate.dtype)

    def writes(self) -> list[Tensor]:
        """The weights that write to the residual stream."""
        return [self.output.weight]


def draw_step_bias(bias: Tensor, generator: torch.Generator) -> None:
    """Fill `bias` so that softplus(bias) is log-uniform in [0.001, 0.1], the paper's time steps."""
    low, high = math.log(0.001), math.log(0.1)
    with torch.no_grad():
        step = bias.uniform_(low, high, generator=generator).exp_()
        step.copy_(step + torch.log(-torch.expm1(-step)))
