"""Optimizers that treat every element alike: what is kept of each, and one pass over memory.

An update is some eight operations on three to five arrays. Done one after the other over a large
array, each streams the whole array through memory. The compiled core does all of them on an element
before it goes on to the next ("fused"), so memory is crossed once. Where it cannot (another format,
no compiler), the operations are PyTorch's, in chunks that stay in the processor's cache; on a GPU
each operation is launched once for all parameters, since there are many and most are small.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundup.core.native import core
from groundup.optim.optimizer import copy_state

# Elements handled at a time: four float32 arrays of this length are 1 MiB, about half of one core's
# second-level cache on today's servers.
_CHUNK = 1 << 16

Tensors = list[Tensor] | tuple[Tensor, ...]
Arrays = Sequence[NDArray[np.float32]]  # of a parameter: weight, gradient, what is kept


class Rule(Protocol):
    """The config of such an optimizer. kept: the names of its arrays, which begin as zeros."""

    kept: ClassVar[tuple[str, ...]]

    def update(
        self, weights: Tensors, grads: Tensors, *kept: Tensors, scale: float, step: int
    ) -> None:
        """Change `weights` and what is kept of each in place.

        scale: the schedule's factor. step: counted from 1.
        """
        ...

    def fused(self, parameters: list[Arrays], threads: int, *, scale: float, step: int) -> None:
        """The same for many parameters, in the compiled core."""
        ...


class ElementwiseState:
    """The kept arrays of a set of parameters; see `Optimizer`."""

    def __init__(self, rule: Rule, parameters: Mapping[str, Tensor]):
        self.rule = rule
        self.parameters = dict(parameters)
        self.count = torch.zeros((), dtype=torch.int64)
        self.kept = {
            array: {name: torch.zeros_like(p) for name, p in self.parameters.items()}
            for array in rule.kept
        }

    @torch.no_grad()
    def step(self, scale: float) -> None:
        self.count += 1
        step = int(self.count)
        dense: list[Arrays] = []
        together: list[list[Tensor]] = []
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            tensors = [parameter, parameter.grad, *(arrays[name] for arrays in self.kept.values())]
            if in_core(tensors):
                dense.append([tensor.detach().numpy() for tensor in tensors])
                continue
            if parameter.device.type != "cpu":
                together.append(tensors)
                continue
            for arrays in chunks(*tensors):
                self.rule.update(*([array] for array in arrays), scale=scale, step=step)
        if together:
            self.rule.update(*zip(*together, strict=True), scale=scale, step=step)
        if dense:
            self.rule.fused(dense, torch.get_num_threads(), scale=scale, step=step)

    def averaged(self) -> AbstractContextManager[None]:
        return nullcontext()

    def tensors(self) -> dict[str, Tensor]:
        return {
            "count": self.count,
            **{
                f"{array}.{name}": tensor
                for array, tensors in self.kept.items()
                for name, tensor in tensors.items()
            },
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        copy_state(self.tensors(), tensors)


def in_core(tensors: Sequence[Tensor]) -> bool:
    """Whether the compiled core takes them."""
    return core is not None and all(
        tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.is_contiguous()
        for tensor in tensors
    )


def chunks(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same stretch of each array, one after the other; arrays: of one shape, contiguous."""
    return zip(*(array.view(-1).split(_CHUNK) for array in arrays), strict=True)


def check_betas(betas: tuple[float, ...]) -> None:
    """Raises ValueError for anything but two numbers from 0 up to 1."""
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError("betas are two numbers from 0 up to 1")
