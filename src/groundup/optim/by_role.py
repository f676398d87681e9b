"""An optimizer for each role that parameters have: matrices of the blocks, embedding, the rest.

Embedding and head are tables, one row a token: their gradients are sparse by row, and an orthogonal
update would move rows that were never seen. Norm weights are vectors. Neither is for Muon (Jordan
et al. 2024, section "What about the other parameters"), and decay would pull them to zero for no
gain.

The embedding has a rate of its own, as its rows are larger than a matrix's weights and each is
learned at a few steps alone, those that its token appears in.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from torch import Tensor

from groundup.optim.adam import Adam
from groundup.optim.adamw import AdamW
from groundup.optim.lion import Lion
from groundup.optim.muon import Muon
from groundup.optim.optimizer import Optimizer, Parameters, copy_state
from groundup.optim.schedule_free import ScheduleFreeAdamW
from groundup.optim.soap import SOAP

ForMatrices = Muon | SOAP | AdamW | Adam | Lion | ScheduleFreeAdamW
ForAll = AdamW | Adam | Lion | ScheduleFreeAdamW


@dataclass(frozen=True, kw_only=True)
class ByRole:
    """matrices: for those, stacked ones too, whose name begins with `blocks.`. embedding: for what
    begins with `embedding.`. rest: for all other parameters: head, norms, biases.
    """

    matrices: ForMatrices
    embedding: ForAll
    rest: ForAll

    def build(self, parameters: Parameters) -> "ByRoleState":
        return ByRoleState(self, parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:
        return getattr(self, _role(name, parameter)).whole(name, parameter)


class ByRoleState:
    """Three optimizers that step together; see `Optimizer`."""

    def __init__(self, config: ByRole, parameters: Parameters):
        roles: dict[str, dict[str, Tensor]] = {"matrices": {}, "embedding": {}, "rest": {}}
        for name, parameter in parameters.items():
            roles[_role(name, parameter)][name] = parameter
        self.parts: dict[str, Optimizer] = {
            role: getattr(config, role).build(members) for role, members in roles.items()
        }

    def step(self, scale: float) -> None:
        for part in self.parts.values():
            part.step(scale)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        with ExitStack() as stack:
            for part in self.parts.values():
                stack.enter_context(part.averaged())
            yield

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"{role}/{name}": tensor
            for role, part in self.parts.items()
            for name, tensor in part.tensors().items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)


def _role(name: str, parameter: Tensor) -> str:
    if name.startswith("embedding."):
        return "embedding"
    matrix = parameter.ndim >= 2 and min(parameter.shape[-2:]) > 1  # not a convolution's kernels
    return "matrices" if name.startswith("blocks.") and matrix else "rest"
