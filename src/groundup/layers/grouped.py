"""Linear layers of which each serves a run of consecutive rows, as a mixture's experts do.

How many rows each serves depends on the data. The product is therefore one operation to torch, with
its own derivative, count of FLOPs and traced shape: `torch.compile` keeps it in one graph with what
stands around it, and the loop over the layers is inside.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula


def grouped_linear(x: Tensor, weight: Tensor, counts: Tensor) -> Tensor:
    """y_i = weight_g · x_i, for the g whose run holds row i. FLOPs are counted for all rows.

    x: [N, D], the rows of each layer together and in the layers' order. weight: [E, H, D].
    counts: integers [E], the rows of each. Returns [N, H]; rows beyond the counts' sum are zeros.
    Under autocast it computes in autocast's format.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    return _linear(x, weight, counts)


@torch.library.custom_op("groundup::grouped_linear", mutates_args=())
def _linear(x: Tensor, weight: Tensor, counts: Tensor) -> Tensor:
    y = x.new_empty(len(x), weight.shape[1])
    end = 0
    for group, count in enumerate(counts.tolist()):
        if count:  # few are, where tokens are decoded one by one
            begin, end = end, end + count
            torch.mm(x[begin:end], weight[group].T, out=y[begin:end])
    y[end:] = 0
    return y


@torch.library.custom_op("groundup::grouped_outer", mutates_args=())
def _outer(y: Tensor, x: Tensor, counts: Tensor) -> Tensor:
    """Σ y_i x_iᵀ over each run's rows: [N, H] and [N, D] → [E, H, D]."""
    weight = y.new_empty(len(counts), y.shape[1], x.shape[1])
    end = 0
    for group, count in enumerate(counts.tolist()):
        begin, end = end, end + count
        torch.mm(y[begin:end].T, x[begin:end], out=weight[group])  # zeros where a run is empty
    return weight


@_linear.register_fake
def _(x: Tensor, weight: Tensor, counts: Tensor) -> Tensor:  # noqa: ARG001
    return x.new_empty(len(x), weight.shape[1])


@_outer.register_fake
def _(y: Tensor, x: Tensor, counts: Tensor) -> Tensor:
    return y.new_empty(len(counts), y.shape[1], x.shape[1])


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG001
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    x, weight, counts = ctx.saved_tensors
    of_x, of_weight, _ = ctx.needs_input_grad
    dx = _linear(dy, weight.transpose(1, 2), counts) if of_x else None
    return dx, _outer(dy, x, counts) if of_weight else None, None


_linear.register_autograd(_backward, setup_context=_save)


@register_flop_formula(torch.ops.groundup.grouped_linear)
def _(x: torch.Size, weight: torch.Size, *_args: object, **_kwargs: object) -> int:
    return 2 * x[0] * weight[1] * weight[2]


@register_flop_formula(torch.ops.groundup.grouped_outer)
def _(y: torch.Size, x: torch.Size, *_args: object, **_kwargs: object) -> int:
    return 2 * y[0] * y[1] * x[1]
