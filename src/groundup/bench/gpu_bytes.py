"""Operations that move bytes, for `bench.gpu_kernels`: norms, SwiGLU's gate, rotary positions."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.bench.gpu_case import FUSED, Case, Operation, Scale, liger, normal
from groundup.core.device import Device
from groundup.kernels.rms_norm import add_rms_norm, rms_norm
from groundup.kernels.rotary import rotate
from groundup.kernels.swiglu import silu_gate
from groundup.layers import RoPE

_EPS = 1e-6


def cases(device: Device, scale: Scale) -> Iterator[Case]:
    """One after the other, since not all fit into memory."""
    for width in scale.widths:
        yield _norm(device, scale.elements // width, width)
    for width in scale.widths:
        yield _norm_of_sum(device, scale.elements // width, width)
    for rows in scale.rows:
        yield _gate(device, rows, scale.hidden)
    for rows in scale.rows:
        yield _rotation(device, rows, scale)


def _norm(device: Device, rows: int, width: int) -> Case:
    x, w = normal(device, rows, width), normal(device, width)
    moved = x.numel() * x.itemsize
    return Case(
        operation="RMSNorm",
        shape=f"{rows} × {width}",
        axis="row length",
        size=width,
        inputs=(x, w),
        ours=lambda x, w: rms_norm(x, w, eps=_EPS, impl="triton"),
        formula=_norm_formula,
        peers={
            FUSED: lambda x, w: F.rms_norm(x, w.shape, w, _EPS),
            **liger("liger_rms_norm", lambda f: lambda x, w: f(x, w, _EPS, in_place=False)),
        },
        unit="GB/s",
        work=(2 * moved, 5 * moved),
    )


def _norm_of_sum(device: Device, rows: int, width: int) -> Case:
    x, r, w = *normal(device, 2, rows, width), normal(device, width)
    moved = x.numel() * x.itemsize

    def formula(x: Tensor, r: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        h = x + r
        return _norm_formula(h, w), h

    def fused(x: Tensor, r: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        h = x + r
        return F.rms_norm(h, w.shape, w, _EPS), h

    return Case(
        operation="addition and RMSNorm",
        shape=f"{rows} × {width}",
        axis="row length",
        size=width,
        inputs=(x, r, w),
        ours=lambda x, r, w: add_rms_norm(x, r, w, eps=_EPS, impl="triton"),
        formula=formula,
        peers={
            FUSED: fused,
            **liger(
                "liger_fused_add_rms_norm",
                lambda f: lambda x, r, w: f(x, r, w, _EPS, in_place=False),
            ),
        },
        unit="GB/s",
        work=(4 * moved, 8 * moved),
    )


def _norm_formula(x: Tensor, w: Tensor) -> Tensor:
    wide = x.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + _EPS)
    return (wide * scale * w).to(x.dtype)


def _gate(device: Device, rows: int, hidden: int) -> Case:
    gate, up = normal(device, 2, rows, hidden)
    moved = gate.numel() * gate.itemsize
    return Case(
        operation="SwiGLU's gate",
        shape=f"{rows} × {hidden}",
        axis="rows",
        size=rows,
        inputs=(gate, up),
        ours=lambda g, u: silu_gate(g, u, impl="triton"),
        formula=lambda g, u: F.silu(g) * u,
        peers=liger("liger_swiglu", lambda f: f),
        unit="GB/s",
        work=(3 * moved, 8 * moved),
    )


def _rotation(device: Device, positions: int, scale: Scale) -> Case:
    """Of queries, and of keys that four of their heads share."""
    K, T = max(scale.head_widths), min(scale.lengths)
    heads, kv_heads = scale.heads(K)
    q, k = (normal(device, positions // T, T, count, K) for count in (heads, kv_heads))
    cos, sin = RoPE().build(K)(torch.arange(T, device=device.device))
    narrow = [part.to(q.dtype) for part in (cos, sin)]
    moved = (q.numel() + k.numel()) * q.itemsize

    def turned(x: Tensor) -> Tensor:
        (a, b), (c, s) = x.chunk(2, -1), (part[:, None] for part in narrow)
        return torch.cat((a * c - b * s, b * c + a * s), -1)

    def by_liger(function: Callable[..., Any]) -> Operation:
        """Its heads come before positions, and both halves of a head have their angles."""
        angles = [torch.cat((part, part), -1)[None] for part in narrow]

        def run(q: Tensor, k: Tensor) -> tuple[Tensor, ...]:
            rotated = function(q.transpose(1, 2), k.transpose(1, 2), *angles)
            return tuple(x.transpose(1, 2) for x in rotated[:2])

        return run

    return Case(
        operation="rotary positions",
        shape=f"{positions // T} × {T} × {heads} + {kv_heads} heads of {K}",
        axis="positions",
        size=positions,
        inputs=(q, k),
        ours=lambda q, k: (
            rotate(q, cos, sin, interleaved=False, impl="triton"),
            rotate(k, cos, sin, interleaved=False, impl="triton"),
        ),
        formula=lambda q, k: (turned(q), turned(k)),
        peers=liger("liger_rope", by_liger),
        unit="GB/s",
        work=(2 * moved, 4 * moved),
    )
