"""From a projection to what attention takes: each head shifted, normalised and rotated, and heads
before positions.
"""

from torch import Tensor, nn

from groundup.kernels import cpu
from groundup.layers.documents import borders
from groundup.layers.norm import RMSNormalization
from groundup.layers.rope import Rotation, rotate
from groundup.layers.shift import HeadShift, one_later


def split_heads(
    x: Tensor,
    norm: nn.Module,
    *,
    rotation: Rotation | None = None,
    interleaved: bool = False,
    shift: HeadShift | None = None,
    before: Tensor | None = None,
    documents: Tensor | None = None,
) -> Tensor:
    """x: [B, T, heads, K] → [B, heads, T, K].

    norm: over K, or the identity. rotation, interleaved: see `layers.rope`. before: what the shift
    mixes in, of the shape of x; by default x of the position before, which no document's border
    lets through.
    """
    plain = isinstance(norm, nn.Identity) or (
        isinstance(norm, RMSNormalization) and norm.bias is None
    )
    halves = rotation is None or not interleaved
    if plain and halves and before is None and x.shape[-1] <= cpu.WIDEST and cpu.takes(x):
        shifts = shift is not None
        normalises = isinstance(norm, RMSNormalization)
        return cpu.split_heads(
            x,
            share=shift.share if shifts else None,
            first=borders(documents) if shifts and documents is not None else None,
            weight=norm.factor() if normalises else None,
            eps=norm.eps if normalises else 0.0,
            rotation=rotation,
        )
    if shift is not None:
        x = shift(x, one_later(x, documents=documents) if before is None else before)
    x = norm(x)
    if rotation is not None:
        x = rotate(x, rotation, interleaved=interleaved)
    return x.transpose(1, 2)
