"""What the training step needs of an optimizer."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from torch import Tensor

Parameters = Mapping[str, Tensor]


class Optimizer(Protocol):
    """Holds the state of a set of named parameters and changes them in place.

    Steps run under the device's autocast, whose format is that of matrix products.
    """

    def step(self, scale: float) -> None:
        """One update from the parameters' gradients, the learning rate times `scale`."""
        ...

    def averaged(self) -> AbstractContextManager[None]:
        """A context in which the parameters are the weights to measure and to keep, where those are
        an average of the ones that are trained; elsewhere nothing changes."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The whole state by name, for a checkpoint; the tensors are the live ones."""
        ...

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy a state that `tensors` returned; a missing or misshapen one is a ValueError."""
        ...


class OptimizerConfig(Protocol):
    """A frozen config that makes an optimizer of a set of parameters."""

    def build(self, parameters: Parameters) -> Optimizer: ...

    def whole(self, name: str, parameter: Tensor) -> bool:
        """Whether the update of a parameter needs all of it, so that its rows cannot be updated
        apart from each other."""
        ...


def copy_state(state: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy `saved` into the live `state`, by name."""
    for name, tensor in state.items():
        if name not in saved or saved[name].shape != tensor.shape:
            raise ValueError(f"the optimizer state lacks {name} of shape {tuple(tensor.shape)}")
        tensor.copy_(saved[name])


@contextmanager
def holding(parameters: Parameters, values: Mapping[str, Tensor]) -> Iterator[None]:
    """A context in which the parameters hold `values`; after it, what they held before."""
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    with torch.no_grad():
        copy_state(dict(parameters), values)
    try:
        yield
    finally:
        with torch.no_grad():
            copy_state(dict(parameters), before)
