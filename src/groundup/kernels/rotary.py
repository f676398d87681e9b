"""Rotary position embedding (Su et al. 2021, section 3.4.2, equation 34): each pair of a head's
numbers is turned by an angle of its position.

    (a, b) → (a · cos − b · sin, b · cos + a · sin)

Pairs are (i, i + R/2), half-split, or (2i, 2i + 1), interleaved (see `layers.rope`); numbers behind
the first R of a head's K stay as they are. The gradient of a rotation is the rotation of the
gradient by minus the angle, so that one kernel serves both and nothing is stored but the angles'
cosines and sines.

The work is moving bytes: each number is read once and written once, 4 bytes in bfloat16, for 3
FLOPs. Cosine and sine add 4 · R bytes a token, which its heads share. One operation after the
other, PyTorch moves 18 bytes a number: four products, two sums, and pairs put together.
"""

from typing import Any

import torch
from torch import Tensor

from groundup.kernels.cpu.call import first_order, need
from groundup.kernels.launch import Impl, check_device, jit, power_of_two, tl

# Numbers of a program and its warps. A first choice, not yet measured on a GPU.
_BLOCK, _WARPS = 2048, 4


def rotate(x: Tensor, cos: Tensor, sin: Tensor, *, interleaved: bool, impl: Impl) -> Tensor:
    """Rotates queries or keys.

    x: [B, T, heads, K], with any strides. cos, sin: [T, R/2] or [B, T, R/2], R ≤ K; they get no
    gradients from the kernel. Returns the shape and format of x, computed in float32.

    Raises `InputError` where `impl` cannot run on x's device.
    """
    check_device(impl, x)
    B, T, _, K = x.shape
    pairs = cos.shape[-1]
    fits = cos.shape == sin.shape and cos.shape in {(T, pairs), (B, T, pairs)} and 2 * pairs <= K
    need(fits, f"x of {tuple(x.shape)}, cos of {tuple(cos.shape)} and sin of {tuple(sin.shape)}")
    if impl == "reference":
        return _reference(x, cos, sin, interleaved)
    return _Rotate.apply(x, cos, sin, interleaved)


def _reference(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    cos, sin = cos.float()[..., None, :], sin.float()[..., None, :]
    rotated, rest = x.split([2 * cos.shape[-1], x.shape[-1] - 2 * cos.shape[-1]], dim=-1)
    pairs = rotated.float().unflatten(-1, (-1, 2) if interleaved else (2, -1))
    axis = -1 if interleaved else -2
    a, b = pairs.unbind(axis)
    turned = torch.stack((a * cos - b * sin, b * cos + a * sin), axis).flatten(-2)
    return torch.cat((turned.to(x.dtype), rest), dim=-1)


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.interleaved = interleaved
        return _launch(x, cos, sin, interleaved, back=False)

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _launch(grads[0], cos, sin, ctx.interleaved, back=True), None, None, None


def _launch(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool, *, back: bool) -> Tensor:
    B, T, heads, K = x.shape
    if x.stride(-1) != 1:
        x = x.contiguous()
    cos, sin = (part.contiguous().expand(B, T, -1) for part in (cos, sin))
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    pairs = cos.shape[-1]
    rest = K - 2 * pairs
    block = power_of_two(max(pairs, rest))
    together = max(1, _BLOCK // (2 * block))
    rows = B * T * heads
    _kernel[(-(-rows // together),)](
        x,
        cos,
        sin,
        y,
        x.stride()[:3],
        cos.stride(0),
        rows,
        T,
        heads,
        K=K,
        PAIRS=pairs,
        REST=rest,
        INTERLEAVED=interleaved,
        BACK=back,
        ROWS=together,
        BLOCK=block,
        num_warps=_WARPS,
    )
    return y


@jit
def _kernel(
    X, COS, SIN, Y, x_strides, cos_stride, rows, T, heads,
    K: tl.constexpr, PAIRS: tl.constexpr, REST: tl.constexpr,
    INTERLEAVED: tl.constexpr, BACK: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, BLOCK)[None, :]
    token, head = row // heads, row % heads
    sequence, position = token // T, token % T
    x = X + sequence * x_strides[0] + position * x_strides[1] + head * x_strides[2]
    y = Y + row * K
    angle = sequence * cos_stride + position * PAIRS + column
    inside = (row < rows) & (column < PAIRS)
    cos = tl.load(COS + angle, inside, other=0.0).to(tl.float32)
    sin = tl.load(SIN + angle, inside, other=0.0).to(tl.float32)
    if BACK:
        sin = -sin
    first = 2 * column if INTERLEAVED else column
    second = first + (1 if INTERLEAVED else PAIRS)
    a = tl.load(x + first, inside, other=0.0).to(tl.float32)
    b = tl.load(x + second, inside, other=0.0).to(tl.float32)
    tl.store(y + first, (a * cos - b * sin).to(Y.dtype.element_ty), inside)
    tl.store(y + second, (b * cos + a * sin).to(Y.dtype.element_ty), inside)
    if REST > 0:
        place = 2 * PAIRS + column
        inside = (row < rows) & (column < REST)
        tl.store(y + place, tl.load(x + place, inside, other=0.0), inside)
