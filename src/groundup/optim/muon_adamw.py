"""Muon for the matrices inside the blocks, AdamW for everything else.

Embedding and head are tables, one row a token: their gradients are sparse by row, and an
orthogonal update would move rows that were never seen. Norm weights are vectors. Both go to AdamW
(Jordan et al. 2024, section "What about the other parameters").
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from groundup.optim.adamw import AdamW
from groundup.optim.muon import Muon


@dataclass(frozen=True, kw_only=True)
class MuonAdamW:
    """muon: for matrices whose name begins with `blocks.`. adamw: for all other parameters."""

    muon: Muon
    adamw: AdamW

    def build(self, parameters: Mapping[str, Tensor]) -> "MuonAdamWState":
        return MuonAdamWState(self, parameters)


class MuonAdamWState:
    """Two optimizers that step together; see `Optimizer`."""

    def __init__(self, config: MuonAdamW, parameters: Mapping[str, Tensor]):
        inner = {n for n, p in parameters.items() if p.ndim == 2 and n.startswith("blocks.")}
        self.muon = config.muon.build({n: p for n, p in parameters.items() if n in inner})
        self.adamw = config.adamw.build({n: p for n, p in parameters.items() if n not in inner})

    def step(self, scale: float) -> None:
        self.muon.step(scale)
        self.adamw.step(scale)

    def tensors(self) -> dict[str, Tensor]:
        return {**self.muon.tensors(), **self.adamw.tensors()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.muon.load(tensors)
        self.adamw.load(tensors)
