"""What a training step needs of several processes."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from groundup.core.mesh import Mesh
from groundup.core.processes import Group
from groundup.core.seeds import derive_seed
from groundup.optim.clip import norm_of, scale_gradients
from groundup.optim.optimizer import Optimizer

Phase = Literal["forward", "backward"]
Order = Iterable[tuple[Phase, int]]  # of the passes of a step, and their micro-batches


class Reduction(Protocol):
    """Makes sums over a group of the gradients of some parameters, which all of the group have.

    A gradient that exists in no process stays None, and the optimizer leaves its parameter alone.
    copies: how many processes have each of the gradients in `held`.
    """

    group: Group
    copies: int
    shares_state: bool  # whether a process has but a share of the optimizer's state

    def passing(self, *, last: bool) -> AbstractContextManager[None]:
        """A context for a backward pass. last: it completes a step's gradients, whose sums are in
        place when the context ends."""
        ...

    def held(self) -> Iterable[Tensor]:
        """The tensors whose `.grad` the optimizer of this process reads."""
        ...

    def clear(self) -> None:
        """Forget the gradients."""
        ...

    def volume(self, passes: int) -> float:
        """Bytes that a process sends in a step of so many backward passes, on a ring."""
        ...

    def whole(self) -> AbstractContextManager[None]:
        """A context in which every process of the group has all of the parameters."""
        ...

    def weights(self) -> dict[str, Tensor] | None:
        """Where no process has all of the parameters, the rows that this one has, live and by key;
        else None."""
        ...


class Member(NamedTuple):
    """Parameters whose gradients are summed over one group. keys: their names, and if a process has
    but a part, which one (see `core.regions`)."""

    keys: Sequence[str]
    reduction: Reduction
    optimizer: Optimizer


class Exchange:
    """Turns the gradients of each process into those of all rows of a step.

    Losses are each divided by the number of processes that read different rows, so that sums of
    gradients are means.
    """

    def __init__(
        self,
        mesh: Mesh,
        members: Sequence[Member],
        *,
        keys: Mapping[str, str] | None = None,
        names: Iterable[str] | None = None,
        order: Callable[[int], Order] | None = None,
    ):
        """keys: of this process's parameters and buffers by their name, where they differ. names:
        those of the whole model, of which a process may have a part. order: by default one
        micro-batch after the other."""
        self.mesh = mesh
        self.group = mesh.world
        parts = ("pipeline", "expert", "tensor")
        self.divided = any(mesh.sizes[axis] > 1 for axis in parts)  # none has the whole model
        self.members = members
        self._keys = dict(keys or {})
        self.names = None if names is None else set(names)
        self.order = order or one_by_one  # of the passes of so many micro-batches
        self._writer = {k: m.reduction.group.rank == 0 for m in members for k in m.keys}

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """A backward pass. last: it completes a step's gradients."""
        with ExitStack() as stack:
            for member in self.members:
                stack.enter_context(member.reduction.passing(last=last))
            loss.backward()

    def held(self) -> list[Tensor]:
        """The tensors whose `.grad` the optimizers of this process read."""
        return [tensor for member in self.members for tensor in member.reduction.held()]

    def clip(self, largest: float) -> float:
        """Scale all gradients, those of other processes too, so that their joint Euclidean norm is
        at most `largest`; returns it as it was (see `optim.clip_gradients`)."""
        squares = 0.0
        for member in self.members:
            squares += norm_of(member.reduction.held()) ** 2 / member.reduction.copies
        norm = math.sqrt(self.group.total(squares))
        scale_gradients(self.held(), norm, largest)
        return norm

    def clear(self) -> None:
        for member in self.members:
            member.reduction.clear()

    def mean(self, loss: float) -> float:
        """The mean over all rows of a loss that each process has of its own."""
        return self.group.total(loss) / (self.mesh.rows.size * self.mesh.sizes["tensor"])

    def volume(self, passes: int) -> float:
        """Bytes of gradients and weights that a process sends in a step of so many passes."""
        return sum(member.reduction.volume(passes) for member in self.members)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """A context in which every process has all weights of its part of the model."""
        with ExitStack() as stack:
            for member in self.members:
                stack.enter_context(member.reduction.whole())
            yield

    @property
    def shares_weights(self) -> bool:
        """Whether no process has the whole model between two steps."""
        return self.divided or any(m.reduction.weights() is not None for m in self.members)

    @property
    def shares_state(self) -> bool:
        """Whether a process has but a share of the optimizer's state."""
        return self.divided or any(member.reduction.shares_state for member in self.members)

    def key(self, name: str) -> str:
        """The name of a parameter or buffer of this process, with the box of it that it has."""
        return self._keys.get(name, name)

    def loaded(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What this process has of the model between two steps, live and by key.

        tensors: its parameters and buffers by name.
        """
        have = {self.key(name): tensor for name, tensor in tensors.items()}
        for member in self.members:
            rows = member.reduction.weights()
            if rows is not None:
                have = {key: tensor for key, tensor in have.items() if key not in member.keys}
                have |= rows
        return have

    def written(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of that, what this process and no other one is to write down."""
        rows = {k for m in self.members for k in m.reduction.weights() or ()}
        first = self.mesh.over("replica", "context").rank == 0
        return {
            key: tensor
            for key, tensor in self.loaded(tensors).items()
            if key in rows or self._writer.get(key, first)
        }

    def state(self) -> dict[str, Tensor]:
        """The optimizers' state that this process is to write down."""
        return {
            key: tensor
            for member in self.members
            if member.reduction.shares_state or member.reduction.group.rank == 0
            for key, tensor in member.optimizer.tensors().items()
        }


def one_by_one(micro_batches: int) -> Order:
    """Forward and backward through each, so that one graph exists at a time."""
    for index in range(micro_batches):
        yield "forward", index
        yield "backward", index


class Together:
    """The optimizers of an exchange's members as one; see `Optimizer`.

    What is left to chance in an update is drawn anew for each member, so that it does not depend on
    what else a process has: alike in all that have the same weights, in others not.
    """

    def __init__(self, members: Sequence[Member]):
        self._members = members

    def step(self, scale: float) -> None:
        seed = torch.initial_seed()
        for member in self._members:
            group = member.reduction.group
            own = group.rank if member.reduction.shares_state else 0
            torch.manual_seed(derive_seed(seed, group.name, own))
            member.optimizer.step(scale)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        with ExitStack() as stack:
            for member in self._members:
                stack.enter_context(member.optimizer.averaged())
            yield

    def tensors(self) -> dict[str, Tensor]:
        return {k: t for member in self._members for k, t in member.optimizer.tensors().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for member in self._members:
            member.optimizer.load(tensors)
