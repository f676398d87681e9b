"""Exchanges that gradients flow back through.

    gather_rows        every process gets the rows of all        ⇄   sums of rows go to their owner
    scatter_row_sums   each gets the sums of its own rows        ⇄   every process gets all rows
    trade_rows         each sends some of its rows to each       ⇄   and they come back

The way back of the first is the second, and the other way round: a process whose rows were used by
all owes them the sum of what each has found out (Korthikanti et al. 2022, "Reducing activation
recomputation in large transformer models", section 4.2).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from groundup.core.processes import Group
from groundup.core.regions import lengths


def gather_rows(x: Tensor, group: Group, rows: int) -> Tensor:
    """x: [B, T_r, …], of `rows` T in all, cut as by `core.regions.bounds` → [B, T, …]."""
    return x if group.size == 1 else _Gather.apply(x, group, rows)


def scatter_row_sums(x: Tensor, group: Group) -> Tensor:
    """x: [B, T, …] → the sums over the processes of this one's rows, [B, T_r, …]."""
    return x if group.size == 1 else _Scatter.apply(x, group)


def trade_rows(x: Tensor, group: Group, to_each: Sequence[int], from_each: Sequence[int]) -> Tensor:
    """x: [N, D], the rows for the first process, the second, …, so many `to_each` → those that came
    `from_each`, likewise."""
    return _Trade.apply(x, group, to_each, from_each)


def scaled_gradient(x: Tensor, factor: float) -> Tensor:
    """x, whose gradient is multiplied by a factor."""
    return _Scale.apply(x, factor)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group, rows: int) -> Tensor:
        ctx.group = group
        return _gathered(x, group, rows)

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor, None, None]:
        return _scattered(dy[0], ctx.group), None, None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group, ctx.rows = group, x.shape[1]
        return _scattered(x, group)

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor, None]:
        return _gathered(dy[0], ctx.group, ctx.rows), None


class _Trade(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, group: Group, to_each: Sequence[int], from_each: Sequence[int]
    ) -> Tensor:
        ctx.group, ctx.to_each, ctx.from_each = group, to_each, from_each
        return _traded(x, group, to_each, from_each)

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor, None, None, None]:
        return _traded(dy[0], ctx.group, ctx.from_each, ctx.to_each), None, None, None


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor, None]:
        return dy[0] * ctx.factor, None


def _gathered(x: Tensor, group: Group, rows: int) -> Tensor:
    own = x.transpose(0, 1).contiguous()  # rows first: what a process has is one piece
    each = own.shape[1:].numel()
    whole = own.new_empty(rows, *own.shape[1:])
    sizes = [length * each for length in lengths(rows, group.size)]
    group.gather(whole.view(-1), own.view(-1), sizes)()
    return whole.transpose(0, 1)


def _scattered(x: Tensor, group: Group) -> Tensor:
    whole = x.transpose(0, 1).contiguous()
    counts = lengths(len(whole), group.size)
    each = whole.shape[1:].numel()
    own = whole.new_empty(counts[group.rank], *whole.shape[1:])
    sizes = [count * each for count in counts]
    group.scatter_sums(own.view(-1), whole.view(-1), sizes)()
    return own.transpose(0, 1)


def _traded(x: Tensor, group: Group, to_each: Sequence[int], from_each: Sequence[int]) -> Tensor:
    received = x.new_empty(sum(from_each), *x.shape[1:])
    group.redistribute(received, x.contiguous(), from_each, to_each)()
    return received
