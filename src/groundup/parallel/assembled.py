"""Optimizers whose update needs the whole of a matrix (Muon, SOAP), where each process has a part
of it: the matrices are dealt out, and each is updated by one process, its owner.

    parts of gradients ──to the owner──► whole update there ──parts of weights──► back

The owner keeps the whole matrix, and its optimizer's state: of the matrices of N processes each
keeps a share of 1/N. For n bytes of a process's parts it sends 2 · (N − 1)/N · n in a step.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.core.processes import Group
from groundup.core.regions import Region
from groundup.optim.optimizer import Optimizer, OptimizerConfig, Parameters


@dataclass(frozen=True)
class Assembled:
    """See `OptimizerConfig`. inner: the optimizer of whole matrices, and of all else. group: the
    processes that have parts of a matrix; cuts: along which axis, by its name."""

    inner: OptimizerConfig
    group: Group
    cuts: Mapping[str, int]

    def build(self, parameters: Parameters) -> "AssembledState":
        return AssembledState(self, parameters)

    def whole(self, name: str, parameter: Tensor) -> bool:
        return self.inner.whole(name, parameter)

    def assembles(self, name: str, parameter: Tensor) -> bool:
        """Whether a parameter's update needs the parts of the other processes."""
        if Region.parse(name).name not in self.cuts or parameter.ndim < 2:
            return False
        matrix = parameter if parameter.ndim == 2 else parameter[0]
        return self.inner.whole(name, matrix)


class AssembledState:
    """See `Optimizer`. What is whole has its name in one process."""

    def __init__(self, config: Assembled, parameters: Parameters):
        self._group = config.group
        self._parts = {n: p for n, p in parameters.items() if config.assembles(n, p)}
        self._axis = {n: config.cuts[Region.parse(n).name] for n in self._parts}
        self._owned = _dealt(self._parts, self._group)  # by each process, in the order of sending
        names = {n: Region.parse(n).uncut(axis).key for n, axis in self._axis.items()}
        digest = zlib.crc32(" ".join(names.values()).encode())
        if self._group.any(self._group.of_first(digest) != digest):
            raise RuntimeError("processes have parts of different matrices, which were joined")
        self._whole = self._assembled(self._parts)
        own = {names[name]: whole for name, whole in self._whole.items()}
        others = {name: p for name, p in parameters.items() if name not in self._parts}
        self._optimizer: Optimizer = config.inner.build({**others, **own})

    def step(self, scale: float) -> None:
        gradients = {n: p.grad for n, p in self._parts.items() if p.grad is not None}
        for name, whole in self._assembled(gradients).items():
            self._whole[name].grad = whole
        self._optimizer.step(scale)
        for whole in self._whole.values():
            whole.grad = None
        self._give_weights()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        with self._optimizer.averaged():
            self._give_weights()
            yield
        self._give_weights()

    def tensors(self) -> dict[str, Tensor]:
        return self._optimizer.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        with torch.no_grad():  # the parts have been loaded
            for name, whole in self._assembled(self._parts).items():
                self._whole[name].copy_(whole)
        self._optimizer.load(tensors)

    @torch.no_grad()
    def _assembled(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each process's parts of some of the tensors → those that this one owns, whole."""
        if not parts:
            return {}
        owned = [[name for name in names if name in parts] for names in self._owned]
        sent = torch.cat([parts[name].flatten() for names in owned for name in names])
        mine = owned[self._group.rank]
        received = self._redistributed(sent, self._sizes(owned), [self._size(mine)] * len(owned))
        whole, begin = {}, 0
        for name in mine:
            part = parts[name]
            pieces = received.view(len(owned), -1)[:, begin : begin + part.numel()]
            pieces = pieces.reshape(len(owned), *part.shape)
            whole[name] = torch.cat([*pieces], dim=self._axis[name])
            begin += part.numel()
        return whole

    @torch.no_grad()
    def _give_weights(self) -> None:
        """The processes' parts become what the owners have."""
        if not self._parts:
            return
        count, mine = self._group.size, self._owned[self._group.rank]
        cut = {n: whole.chunk(count, self._axis[n]) for n, whole in self._whole.items()}
        pieces = [cut[name][rank].flatten() for rank in range(count) for name in mine]
        sent = torch.cat(pieces) if pieces else next(iter(self._parts.values())).new_empty(0)
        received = self._redistributed(sent, [self._size(mine)] * count, self._sizes(self._owned))
        names = [name for names in self._owned for name in names]
        parts = received.split([self._parts[name].numel() for name in names])
        for name, part in zip(names, parts, strict=True):
            self._parts[name].data.copy_(part.view_as(self._parts[name]))

    def _redistributed(
        self, sent: Tensor, to_each: Sequence[int], from_each: Sequence[int]
    ) -> Tensor:
        received = sent.new_empty(sum(from_each))
        self._group.redistribute(received, sent, from_each, to_each)()
        return received

    def _size(self, names: Sequence[str]) -> int:
        """Elements of this process's parts of some matrices."""
        return sum(self._parts[name].numel() for name in names)

    def _sizes(self, owned: Sequence[Sequence[str]]) -> list[int]:
        return [self._size(names) for names in owned]


def _dealt(parts: Mapping[str, Tensor], group: Group) -> list[list[str]]:
    """The names of each process's matrices: the largest first, to the one that has least."""
    owned: list[list[str]] = [[] for _ in range(group.size)]
    sizes = [0] * group.size
    for name in sorted(parts, key=lambda name: -parts[name].numel()):
        owner = sizes.index(min(sizes))
        owned[owner].append(name)
        sizes[owner] += parts[name].numel()
    return owned
