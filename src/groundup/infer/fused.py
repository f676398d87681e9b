"""A model's parts as they serve: matrices that read the same numbers are one, and what stands
between products is one operation of the compiled core.

Each part computes what the layer does whose place it takes, and is made of that layer's weights.
Layers of other kinds stay as they are, but for their matrices.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from groundup.infer.passes import Pass
from groundup.infer.weights import Serving, ServingLinear, Weights
from groundup.kernels import cpu
from groundup.layers import GroupedQuery
from groundup.layers.attention import GroupedQueryAttention, KeysValues
from groundup.layers.heads import split_heads
from groundup.layers.latent import LatentAttention
from groundup.layers.mlp import GatedMLP
from groundup.layers.moe import MixtureOfExperts
from groundup.layers.norm import RMSNormalization
from groundup.layers.rope import RotaryEmbedding, Rotation
from groundup.models.block import Block


def serve(model: nn.Module, weights: Weights) -> None:
    """Let the parts of a model serve. weights: in what matrices are held, the format that they have
    or eight bits."""
    for name, child in list(model.named_children()):
        if isinstance(child, MixtureOfExperts):  # no text may lose an expert to those beside it
            child.config = replace(child.config, capacity=None)
        serving = _serving(model, name, child, weights)
        if serving is None:
            serve(child, weights)
        else:
            setattr(model, name, serving)


def _serving(parent: nn.Module, name: str, child: nn.Module, weights: Weights) -> nn.Module | None:
    """What takes a child's place; None where it stays."""
    if isinstance(child, GroupedQueryAttention) and isinstance(parent, Block) and _fits(parent):
        return ServingAttention(child, weights)
    if isinstance(child, GatedMLP):
        return ServingMLP(child, weights)
    if isinstance(child, RotaryEmbedding):
        return ServingRotation(child)
    if type(child) is RMSNormalization and child.bias is None:
        return ServingNorm(child)
    if type(child) is nn.Linear:
        # What is taken apart at each pass (see `layers.latent`) stays as it is.
        apart = isinstance(parent, LatentAttention) and name == "up"
        return None if apart else ServingLinear([child], weights)
    return None


def _fits(block: Block) -> bool:
    attention = block.attention
    if not isinstance(attention, GroupedQueryAttention) or block.lends:
        return False
    norms = (attention.query_norm, attention.key_norm)
    plain = all(_plain(norm) for norm in norms) and not block.interleaved
    narrow = attention.config.head_width <= cpu.WIDEST
    return plain and narrow and not (attention.config.borrow or attention.config.shift)


def _plain(norm: nn.Module) -> bool:
    rms = isinstance(norm, RMSNormalization) and norm.bias is None
    return rms or isinstance(norm, nn.Identity)


class ServingNorm(Serving):
    """RMSNorm whose factor is kept in float32."""

    def __init__(self, norm: RMSNormalization):
        super().__init__()
        self.norm = norm
        self._factor = norm.factor().detach()
        self._in_core = cpu.NormOfRows(self._factor, norm.eps)

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width] → the same shape and format."""
        return self._in_core(x) if x.is_contiguous() and cpu.takes(x) else self.norm(x)


class ServingRotation(Serving):
    """The rotations of positions, by frequencies that are computed once."""

    def __init__(self, rotary: RotaryEmbedding):
        super().__init__()
        self.rotary = rotary
        self._frequency: Tensor | None = None

    def forward(self, positions: Tensor) -> Rotation:
        """See `RotaryEmbedding`."""
        if self._frequency is None:
            self._frequency = self.rotary.frequency(positions.device)
        angle = positions[..., None] * self._frequency
        factor = self.rotary.factor
        return (angle.cos() * factor).float(), (angle.sin() * factor).float()


class ServingMLP(Serving):
    """A gated MLP whose gate and up are one matrix."""

    def __init__(self, mlp: GatedMLP, weights: Weights):
        super().__init__()
        self.inner = ServingLinear([mlp.gate, mlp.up], weights)
        self.down = ServingLinear([mlp.down], weights)
        self.silu, self.activation = mlp.silu, mlp.activation

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., D] → [..., D]."""
        inner = self.inner(x)
        if self.silu and cpu.takes(inner):
            return self.down(cpu.silu_gate_of_rows(inner))
        gate, up = inner.chunk(2, dim=-1)
        return self.down(self.activation(gate) * up)


class ServingAttention(Serving):
    """Grouped-query attention whose queries, keys and values are one product."""

    def __init__(self, attention: GroupedQueryAttention, weights: Weights):
        super().__init__()
        assert attention.key is not None
        assert attention.value is not None
        layers = [attention.query, attention.key, attention.value]
        self.config: GroupedQuery = attention.config
        self.projection = ServingLinear(layers, weights)
        self.output = ServingLinear([attention.output], weights)
        self.query_norm, self.key_norm = attention.query_norm, attention.key_norm
        self.scale = attention.scale
        self.sinks = None if attention.sinks is None else attention.sinks.detach().float()
        norms = (attention.query_norm, attention.key_norm)
        self._factors = tuple(
            norm.factor().detach() if isinstance(norm, RMSNormalization) else None for norm in norms
        )
        self._eps = next((n.eps for n in norms if isinstance(n, RMSNormalization)), 0.0)

    def forward(
        self,
        x: Tensor,
        *,
        rotation: Rotation | None = None,
        bias: Any = None,
        cache: Pass,
        layer: int,
        **_: Any,
    ) -> tuple[Tensor, KeysValues | None]:
        """x: [1, N, D] → [1, N, D]. The rest: see `GroupedQueryAttention`."""
        c = self.config
        projected = self.projection(x)
        if bias is None and cache.in_core and cpu.takes(projected):
            attended = cache.attend_projected(
                layer,
                projected[0],
                heads=c.heads,
                weights=self._factors,
                eps=self._eps,
                rotation=rotation,
                scale=self.scale,
                softcap=c.softcap,
                sinks=self.sinks,
            )
            return self.output(attended), None
        widths = [c.heads * c.head_width, c.kv_heads * c.head_width, c.kv_heads * c.head_width]
        parts = [part.unflatten(-1, (-1, c.head_width)) for part in projected.split(widths, -1)]
        attended = cache.attend(
            layer,
            split_heads(parts[0], self.query_norm, rotation=rotation),
            split_heads(parts[1], self.key_norm, rotation=rotation),
            split_heads(parts[2], nn.Identity()),
            scale=self.scale,
            bias=bias,
            softcap=c.softcap,
            sinks=self.sinks,
        )
        return self.output(attended.transpose(1, 2).flatten(2)), None
