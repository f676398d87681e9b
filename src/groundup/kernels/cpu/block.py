"""A block of a decoder over few tokens, as one call: a model that generates would wait for Python
between its products.

    y = x + post(attention(norm(x)));  y + post(mlp(norm(y)))

Every step is one of this folder's operations, in their order, and the residual is added as PyTorch
adds it: the same bits, except that bfloat16 units take numbers below 2⁻¹²⁶ for zero.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.core.native import core
from groundup.kernels.cpu.call import address, need
from groundup.kernels.cpu.product import PackedMatrix
from groundup.kernels.cpu.reach import MOST_HEADS, Reach
from groundup.kernels.cpu.take_in import Kept, Places, TokenHeads


@dataclass(frozen=True)
class Branch:
    """inward, outward: the matrices at its two ends: queries, keys and values together, and the
    output; or gate and up together, and down. norm, post: factors of RMSNorms before it and behind
    it, float32 [D]; None for none."""

    inward: PackedMatrix
    outward: PackedMatrix
    norm: Tensor | None
    post: Tensor | None


def _in_core(branch: Branch | None) -> Any:
    assert core is not None
    if branch is None:
        none = core.Matrix(0, 0, 0, 0, 0)
        return core.Branch(0, 0, none, none)
    norm, post = address(branch.norm), address(branch.post)
    return core.Branch(norm, post, branch.inward.in_core, branch.outward.in_core)


class FewTokensBlock:
    """A block whose weights stay where they are. Its gate is SiLU's."""

    def __init__(
        self,
        heads: TokenHeads,
        attention: Branch,
        mlp: Branch | None,
        *,
        eps: float,
        scale: float,
        softcap: float | None = None,
        sinks: Tensor | None = None,
    ):
        """eps: of the norms. scale, softcap, sinks: as in `Reach`; sinks are float32 [H]."""
        assert core is not None
        count, kv_heads, width = heads.sizes
        D = attention.inward.inner
        fits = attention.inward.outputs == heads.projected
        need(fits and attention.outward.inner == count * width, "heads do not fit the matrices")
        need(count % kv_heads == 0, f"{kv_heads} heads of keys do not divide {count} heads")
        need(count <= MOST_HEADS, f"at most {MOST_HEADS} heads are possible, not {count}")
        fits = mlp is None or mlp.inward.outputs == 2 * mlp.outward.inner
        need(fits, "gate and up are not as wide as what is down")
        branches = [attention] if mlp is None else [attention, mlp]
        for branch in branches:
            fits = branch.inward.inner == branch.outward.outputs == D
            need(fits, "branches are not as wide as x")
            for factor in (branch.norm, branch.post):
                fits = factor is None or (factor.shape == (D,) and factor.dtype == torch.float32)
                need(fits, f"factors of norms are float32, {D} of them")
        self._dtype = attention.inward.dtype
        alike = all(m.dtype == self._dtype for b in branches for m in (b.inward, b.outward))
        need(alike, "formats differ")
        fits = sinks is None or (sinks.shape == (count,) and sinks.dtype == torch.float32)
        need(fits, f"sinks are float32, {count} of them")
        self._held = heads, branches, sinks  # their addresses are given away
        self.heads, self._width = heads, D
        reading = core.Reading(
            count, kv_heads, width, width, width, scale, softcap or 0.0, address(sinks)
        )
        self._block = core.Block(heads.in_core, reading, eps, _in_core(attention), _in_core(mlp))

    def __call__(
        self, x: Tensor, places: Places, reach: Reach, kept: Kept
    ) -> tuple[Tensor, Tensor]:
        """x: [N, D] → y [N, D], and the projections of the tokens, [N, (H + 2·kv_heads)·K].

        Keys and values are written to their slots, and what `reach` says is read.
        """
        assert core is not None
        need(x.shape == (places.tokens, self._width), f"rows of {self._width} are needed")
        need(reach.tokens == places.tokens, "tokens differ")
        need(x.dtype == self._dtype, "formats differ")
        self.heads.check(x, places, kept)
        x = x.contiguous()
        y, projected = torch.empty_like(x), x.new_empty(places.tokens, self.heads.projected)
        core.block(
            torch.get_num_threads(),
            x.dtype == torch.bfloat16,
            self._block,
            places.in_core,
            reach.pages,
            kept.in_core,
            x.data_ptr(),
            projected.data_ptr(),
            y.data_ptr(),
        )
        return y, projected
