"""The Gated DeltaNet mixer (Yang et al. 2024, "Gated Delta Networks", section 3.4), as Qwen3-Next
has it.

    x → input → (queries, keys, values), z, β, Δ      (…) ← silu(convolution(queries, keys, values))
    o = delta_rule(queries/|queries|/√K, keys/|keys|, values, Δ · A, β)
    output(norm(o) · silu(z))

It takes the place of attention, as Mamba-2 does; see `layers.delta_rule` for what it remembers.
"""

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
from groundup.layers.delta_rule import chunked_delta_rule, delta_rule
from groundup.layers.mamba2 import draw_step_bias
from groundup.layers.rope import Rotation


@dataclass(frozen=True, kw_only=True)
class GatedDelta:
    """key_heads: heads of queries and keys; they divide `value_heads`, the heads of states.

    key_width, value_width: K and V. convolution: positions that the short convolution sees.
    chunk: positions computed together. eps: added to the norm's mean square.
    """

    key_heads: int
    value_heads: int
    key_width: int
    value_width: int
    convolution: int = 4
    chunk: int = 64
    eps: float = 1e-6

    def __post_init__(self) -> None:
        heads = min(self.key_heads, self.value_heads)
        if min(heads, self.key_width, self.value_width, self.convolution, self.chunk) < 1:
            raise ValueError("heads, widths, convolution and chunk must be positive")
        if self.value_heads % self.key_heads:
            raise ValueError(
                f"key_heads ({self.key_heads}) must divide value_heads ({self.value_heads})"
            )

    def build(self, width: int) -> "GatedDeltaMixer":
        return GatedDeltaMixer(self, width)

    @property
    def heads(self) -> int:
        """Those that have a state each."""
        return self.value_heads

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
        keys, values = self.key_heads * self.key_width, self.value_heads * self.value_width
        return (2 * keys + values) * (self.convolution - 1) + values * self.key_width

    def matrix_parameters(self, width: int) -> int:
        """Weights that multiply every token."""
        keys, values = self.key_heads * self.key_width, self.value_heads * self.value_width
        return width * (2 * keys + 2 * values + 2 * self.value_heads) + values * width

    def mixing_flops(self, tokens: int, *, causal: bool) -> int:
        """FLOPs of the chunked rule over one sequence, without the triangular systems: their
        solution is no matrix product. causal: of the pairs within a chunk only those needed."""
        chunk = min(self.chunk, tokens)
        padded = -(-tokens // chunk) * chunk
        pairs = tokens * (chunk + 1) // 2 if causal else padded * chunk
        length = tokens if causal else padded
        keys, values = self.key_heads * self.key_width, self.value_heads * self.value_width
        return 2 * pairs * (2 * keys + values) + 6 * length * values * self.key_width


class DeltaState(NamedTuple):
    """What a mixer keeps between pieces of a sequence.

    convolution: [B, 2·G·K + H·V, convolution − 1], what the convolution still sees.
    memory: [B, H, K, V], float32.
    """

    convolution: Tensor
    memory: Tensor


class GatedDeltaMixer(nn.Module):
    """See `GatedDelta`. Equal to `Qwen3NextGatedDeltaNet` of Hugging Face transformers 5, but for
    the order of the rows of `input`: here queries, keys, values, z, β, Δ.

    Time steps, decays, lengths and the norm are computed in float32, whatever the format of x.
    """

    def __init__(self, config: GatedDelta, width: int):
        super().__init__()
        self.config = config
        self.keys = config.key_heads * config.key_width
        self.values = config.value_heads * config.value_width
        channels = 2 * self.keys + self.values
        projected = channels + self.values + 2 * config.value_heads
        self.input = nn.Linear(width, projected, bias=False)
        self.convolution = ShortConvolution(channels, config.convolution, bias=False)
        self.step_bias = nn.Parameter(torch.zeros(config.value_heads))
        self.A_log = nn.Parameter(torch.zeros(config.value_heads))
        self.norm_weight = nn.Parameter(torch.ones(config.value_width))
        self.output = nn.Linear(self.values, width, bias=False)

    def initialize(self, generator: torch.Generator, gain: float) -> None:  # noqa: ARG002
        """Rates of decay from 0.01 to 16, and time steps as the paper's code, see
        `draw_step_bias`. The projections are the model's to draw."""
        self.convolution.initialize(generator)
        draw_step_bias(self.step_bias, generator)
        with torch.no_grad():
            # The paper's code begins at 0, of which the logarithm is not finite.
            self.A_log.uniform_(0.01, 16, generator=generator).log_()

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

        documents: integers [B, T]. implementation: "reference" follows the recurrence position
        by position.
        """
        rule = delta_rule if implementation == "reference" else chunked_delta_rule
        if cache is None:
            return self.mix(x, documents=documents, rule=rule)[0], None
        return cache.carry(layer, x, partial(self.mix, rule=rule)), None

    def mix(
        self,
        x: Tensor,
        state: DeltaState | None = None,
        *,
        documents: Tensor | None = None,
        rule: Callable[..., tuple[Tensor, Tensor]] = chunked_delta_rule,
    ) -> tuple[Tensor, DeltaState]:
        """x: [B, T, D] → [B, T, D], and the state after x.

        documents: integers [B, T]; nothing crosses a place where the number changes.
        state: what came before x, of the document of x's first position; None at the beginning.
        """
        c = self.config
        exact = torch.promote_types(x.dtype, torch.float32)
        before = (None, None) if state is None else (state.convolution, state.memory)
        mixed, z, write, step = self.input(x).split(
            [2 * self.keys + self.values, self.values, c.value_heads, c.value_heads], dim=-1
        )
        mixed, tail = self.convolution(mixed, before[0], documents=documents)
        queries, keys, values = (
            part.unflatten(-1, (heads, -1)).to(exact)
            for part, heads in zip(
                F.silu(mixed).split([self.keys, self.keys, self.values], dim=-1),
                (c.key_heads, c.key_heads, c.value_heads),
                strict=True,
            )
        )
        chunk = {"chunk": c.chunk} if rule is chunked_delta_rule else {}
        o, memory = rule(
            _unit(queries) * c.key_width**-0.5,
            _unit(keys),
            values,
            -self.A_log.to(exact).exp() * F.softplus(step.to(exact) + self.step_bias),
            write.to(exact).sigmoid(),
            before[1],
            documents=documents,
            **chunk,
        )
        o = o * torch.rsqrt(o.square().mean(-1, keepdim=True) + c.eps) * self.norm_weight
        y = self.output((o.flatten(2) * F.silu(z.to(exact))).to(x.dtype))
        return y, DeltaState(tail, memory)

    def writes(self) -> list[Tensor]:
        """The weights that write to the residual stream."""
        return [self.output.weight]


def _unit(x: Tensor) -> Tensor:
    """x / |x| over the last dimension; the small number is that of Qwen3-Next."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)
