"""A model's parts as they serve: matrices that read the same numbers are one, and what stands
between products is one operation of the compiled core.

Each part computes what the layer does whose place it takes, and is made of that layer's weights.
Layers of other kinds stay as they are, but for their matrices.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

from groundup.infer.large_pages import LargePages
from groundup.infer.passes import Pass
from groundup.infer.weights import Serving, ServingEmbedding, ServingLinear, Weights
from groundup.kernels import at_hand, cpu
from groundup.layers import GroupedQuery, RouterReport
from groundup.layers.attention import GroupedQueryAttention, KeysValues
from groundup.layers.heads import split_heads
from groundup.layers.latent import LatentAttention
from groundup.layers.mlp import GatedMLP
from groundup.layers.moe import MixtureOfExperts
from groundup.layers.norm import RMSNormalization
from groundup.layers.rope import RotaryEmbedding, Rotation
from groundup.models.block import Block, View

# Of a block that is one call: it keeps room for what stands between its operations.
_MOST_TOKENS = 512

Join = Callable[[Sequence[nn.Linear]], ServingLinear]


def serve(model: nn.Module, weights: Weights) -> None:
    """Let the parts of a model serve. weights: in what matrices are held, the format that they have
    or eight bits."""
    room = LargePages()
    tied = {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
    matrices: dict[Tensor, cpu.PackedMatrix] = {}  # of weights that are an embedding's, too

    def join(layers: Sequence[nn.Linear]) -> ServingLinear:
        joined = ServingLinear(layers, weights=weights, room=room)
        if joined.in_core is not None and weights == "compute" and layers[0].weight in tied:
            matrices[layers[0].weight] = joined.in_core
        return joined

    _serve(model, join)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Embedding) and child.weight in matrices:
                setattr(parent, name, ServingEmbedding(matrices[child.weight]))


def _serve(model: nn.Module, join: Join) -> None:
    for name, child in list(model.named_children()):
        if isinstance(child, MixtureOfExperts):  # no text may lose an expert to those beside it
            child.config = replace(child.config, capacity=None)
        serving = _serving(model, name, child, join)
        if serving is None:
            _serve(child, join)
        else:
            setattr(model, name, serving)


def _serving(parent: nn.Module, name: str, child: nn.Module, join: Join) -> nn.Module | None:
    """What takes a child's place; None where it stays."""
    if isinstance(child, GroupedQueryAttention) and isinstance(parent, Block) and _fits(parent):
        return ServingAttention(child, join)
    if isinstance(child, Block):
        _serve(child, join)
        return ServingBlock(child)
    if isinstance(child, GatedMLP):
        return ServingMLP(child, join)
    if isinstance(child, RotaryEmbedding):
        return ServingRotation(child)
    if type(child) is RMSNormalization and child.bias is None:
        return ServingNorm(child)
    if type(child) is nn.Linear:
        # What the layers themselves take apart, or read in float32, stays as it is.
        theirs = isinstance(parent, LatentAttention) and name == "up"
        theirs = theirs or (isinstance(parent, MixtureOfExperts) and name == "router")
        return None if theirs else join([child])
    return None


def _fits(block: Block) -> bool:
    attention = block.attention
    if not isinstance(attention, GroupedQueryAttention) or block.lends:
        return False
    norms = (attention.query_norm, attention.key_norm)
    plain = all(_plain(norm) for norm in norms) and not block.interleaved
    narrow = attention.config.head_width <= cpu.WIDEST
    return plain and narrow and not attention.config.borrow


def _factor(norm: RMSNormalization) -> Tensor:
    return norm.factor().detach().float()


def _plain(norm: nn.Module) -> bool:
    rms = isinstance(norm, RMSNormalization) and norm.bias is None
    return rms or isinstance(norm, nn.Identity)


class ServingNorm(Serving):
    """RMSNorm whose factor is kept in float32."""

    def __init__(self, norm: RMSNormalization):
        super().__init__()
        self.norm = norm
        self.factor = _factor(norm)
        self._in_core = cpu.NormOfRows(self.factor, norm.eps)
        self.on_gpu: Callable[[Tensor], Tensor] | None = None
        if at_hand.has_kernels(self.factor.device):
            from groundup.kernels.rms_norm import rms_norm

            self.on_gpu = partial(rms_norm, weight=self.factor, eps=norm.eps, impl="triton")

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., width] → the same shape and format."""
        if self.on_gpu is not None:
            return self.on_gpu(x)
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

    def __init__(self, mlp: GatedMLP, join: Join):
        super().__init__()
        self.inner = join([mlp.gate, mlp.up])
        self.down = join([mlp.down])
        self.silu, self.activation = mlp.silu, mlp.activation
        self._gate_on_gpu: Callable[[Tensor, Tensor], Tensor] | None = None
        if self.silu and at_hand.has_kernels(mlp.gate.weight.device):
            from groundup.kernels.swiglu import silu_gate

            self._gate_on_gpu = partial(silu_gate, impl="triton")

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., D] → [..., D]."""
        inner = self.inner(x)
        if self.silu and cpu.takes(inner):
            return self.down(cpu.silu_gate_of_rows(inner))
        gate, up = inner.chunk(2, dim=-1)
        if self._gate_on_gpu is not None:
            return self.down(self._gate_on_gpu(gate, up))
        return self.down(self.activation(gate) * up)


class ServingAttention(Serving):
    """Grouped-query attention whose queries, keys and values are one product."""

    def __init__(self, attention: GroupedQueryAttention, join: Join):
        super().__init__()
        assert attention.key is not None
        assert attention.value is not None
        self.config: GroupedQuery = attention.config
        self.projection = join([attention.query, attention.key, attention.value])
        self.output = join([attention.output])
        self.query_norm, self.key_norm = attention.query_norm, attention.key_norm
        self.key_shift, self.value_shift = attention.key_shift, attention.value_shift
        sinks = attention.sinks
        self.rules: dict[str, Any] = {
            "scale": attention.scale,
            "softcap": attention.config.softcap,
            "sinks": None if sinks is None else sinks.detach().float(),
        }
        self.on_gpu = at_hand.has_kernels(attention.output.weight.device)
        self.heads: Any = self._heads() if cpu.HAS_LOOPS or self.on_gpu else None

    def _heads(self) -> Any:
        """The compiled core's, or a GPU's."""
        kind: Any = cpu.TokenHeads
        if self.on_gpu:
            from groundup.kernels.take_in import TokenHeads as kind  # noqa: N813
        c, norms, shares = self.config, (self.query_norm, self.key_norm), None
        if self.key_shift is not None and self.value_shift is not None:
            shares = (
                self.key_shift.share.detach().float(),
                self.value_shift.share.detach().float(),
            )
        factors = [_factor(n) if isinstance(n, RMSNormalization) else None for n in norms]
        return kind(
            c.heads,
            c.kv_heads,
            c.head_width,
            weights=(factors[0], factors[1]),
            eps=next((n.eps for n in norms if isinstance(n, RMSNormalization)), 0.0),
            shares=shares,
        )

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
        projected = self.projection(x)
        taken = cache.in_core and cpu.takes(projected)
        if bias is None and self.heads is not None and (taken or self.on_gpu):
            attended = cache.attend_projected(
                layer, projected[0], self.heads, rotation, **self.rules
            )
            return self.output(attended), None
        c = self.config
        widths = [c.heads * c.head_width, c.kv_heads * c.head_width, c.kv_heads * c.head_width]
        queries, keys, values = (
            part.unflatten(-1, (-1, c.head_width)) for part in projected.split(widths, -1)
        )
        before: tuple[Tensor | None, Tensor | None] = (None, None)
        if self.key_shift is not None:
            before = cache.before(layer, keys, values)
        attended = cache.attend(
            layer,
            split_heads(queries, self.query_norm, rotation=rotation),
            split_heads(
                keys, self.key_norm, rotation=rotation, shift=self.key_shift, before=before[0]
            ),
            split_heads(values, nn.Identity(), shift=self.value_shift, before=before[1]),
            bias=bias,
            **self.rules,
        )
        return self.output(attended.transpose(1, 2).flatten(2)), None


class ServingBlock(Serving):
    """A block, which over few tokens is one operation of the compiled core, where that has all its
    parts. On a GPU the sum between its branches is one kernel with the norm after it."""

    def __init__(self, block: Block):
        super().__init__()
        self.block, self.window = block, block.window
        self._in_core = _few_tokens_block(block)
        self._sum_and_norm = _sum_and_norm(block)

    def forward(
        self, x: Tensor, *, view: View, cache: Pass, layer: int, **rest: Any
    ) -> tuple[Tensor, KeysValues | None, RouterReport | None]:
        """x: [1, N, D] → [1, N, D]. See `Block`."""
        few = cache.in_core and cache.together and x.shape[1] <= _MOST_TOKENS
        if self._in_core is not None and view[1] is None and few:
            return cache.through_block(layer, x, self._in_core, view[0]), None, None
        if self._sum_and_norm is None:
            return self.block(x, view=view, cache=cache, layer=layer, **rest)
        block = self.block
        attended, lent = block.attention(
            block.attention_norm(x),
            rotation=view[0],
            interleaved=block.interleaved,
            bias=view[1],
            cache=cache,
            layer=layer,
            **rest,
        )
        normed, x = self._sum_and_norm(x, attended)
        assert block.mlp is not None
        return x + block.mlp(normed), lent if block.lends else None, None


def _sum_and_norm(block: Block) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """A sum and its norm as one; None where a block is made otherwise, or no kernel is there."""
    norm = cast(nn.Module, block.mlp_norm)
    plain = block.placement == "pre" and block.scale == 1
    if not (plain and isinstance(norm, ServingNorm) and norm.on_gpu):
        return None
    if not isinstance(cast(nn.Module | None, block.mlp), ServingMLP):
        return None
    from groundup.kernels.rms_norm import add_rms_norm

    return partial(add_rms_norm, weight=norm.factor, eps=norm.norm.eps, impl="triton")


def _few_tokens_block(block: Block) -> cpu.FewTokensBlock | None:
    """The block as one operation; None where a part of it is not of the kinds that this knows."""
    attention, mlp = cast(nn.Module, block.attention), cast(nn.Module | None, block.mlp)
    norms = (block.attention_norm, block.attention_post, block.mlp_norm, block.mlp_post)
    if (
        not isinstance(attention, ServingAttention)
        or not isinstance(attention.heads, cpu.TokenHeads)
        or not (mlp is None or (isinstance(mlp, ServingMLP) and mlp.silu))
        or not all(isinstance(norm, ServingNorm | nn.Identity) for norm in norms)
        or block.placement == "post"
        or block.scale != 1
    ):
        return None
    eps = {norm.norm.eps for norm in norms if isinstance(norm, ServingNorm)}
    branches = [(attention.projection, attention.output)]
    if isinstance(mlp, ServingMLP):
        branches.append((mlp.inner, mlp.down))
    made: list[cpu.Branch] = []
    for (inward, outward), norm, post in zip(branches, norms[::2], norms[1::2], strict=False):
        if inward.in_core is None or outward.in_core is None:
            return None
        factors = (n.factor if isinstance(n, ServingNorm) else None for n in (norm, post))
        made.append(cpu.Branch(inward.in_core, outward.in_core, *factors))
    return cpu.FewTokensBlock(
        attention.heads,
        made[0],
        made[1] if made[1:] else None,
        eps=eps.pop() if eps else 0.0,
        **attention.rules,
    )
