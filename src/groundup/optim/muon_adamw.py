"""Muon for the matrices inside the blocks, AdamW for everything else.

Embedding and head are tables, one row a token: their gradients are sparse by row, and an
orthogonal update would move rows that were never seen. Norm weights are vectors. Both go to AdamW
(Jordan et al. 2024, section "What about the other parameters").

The embedding has a rate of its own, as its rows are larger than a matrix's weights and each is
learned at a few steps alone, those that its token appears in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from groundup.optim.adamw import AdamW
from groundup.optim.muon import Muon
from groundup.optim.optimizer import Optimizer, copy_state


@dataclass(frozen=True, kw_only=True)
class MuonAdamW:
    """muon: for matrices, stacked ones too, whose name begins with `blocks.`. embedding: for those
    whose name begins with `embedding.`. adamw: for all other parameters.
    """

    muon: Muon
    embedding: AdamW
    adamw: AdamW

    def build(self, parameters: Mapping[str, Tensor]) -> "MuonAdamWState":
        return MuonAdamWState(self, parameters)


class MuonAdamWState:
    """Three optimizers that step together; see `Optimizer`."""

    def __init__(self, config: MuonAdamW, parameters: Mapping[str, Tensor]):
        groups: dict[str, dict[str, Tensor]] = {"muon": {}, "embedding": {}, "adamw": {}}
        for name, parameter in parameters.items():
            groups[_group(name, parameter)][name] = parameter
        self.parts: dict[str, Optimizer] = {
            group: getattr(config, group).build(members) for group, members in groups.items()
        }

    def step(self, scale: float) -> None:
        for part in self.parts.values():
            part.step(scale)

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"{group}/{name}": tensor
            for group, part in self.parts.items()
            for name, tensor in part.tensors().items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)


def _group(name: str, parameter: Tensor) -> str:
    if name.startswith("embedding."):
        return "embedding"
    matrix = parameter.ndim >= 2 and min(parameter.shape[-2:]) > 1  # not a convolution's kernels
    return "muon" if name.startswith("blocks.") and matrix else "adamw"
