"""What the training step needs of an optimizer."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor


class Optimizer(Protocol):
    """Holds the state of a set of named parameters and changes them in place."""

    def step(self, scale: float) -> None:
        """One update from the parameters' gradients, the learning rate times `scale`."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The whole state by name, for a checkpoint; the tensors are the live ones."""
        ...

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy a state that `tensors` returned; a missing or misshapen one is a ValueError."""
        ...


def copy_state(state: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy `saved` into the live `state`, by name."""
    for name, tensor in state.items():
        if name not in saved or saved[name].shape != tensor.shape:
            raise ValueError(f"the optimizer state lacks {name} of shape {tuple(tensor.shape)}")
        tensor.copy_(saved[name])
