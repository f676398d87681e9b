"""Sharded weights (Rajbhandari et al. 2020, "ZeRO", stage 3; Zhao et al. 2023, "PyTorch FSDP"):
a process keeps a share of everything, and the weights of a block come together for as long as the
block computes.

    forward     gather the next block's weights · compute this one · let its weights go
    backward    the same from the end, and leave each process the sums of its share of gradients

Weights are gathered forward and backward, and gradients are summed, so a process sends

    3 · (N − 1)/N · n        bytes for n bytes of weights and each micro-batch:

half as many again as data parallelism, for a memory of n/N and two blocks. What stands around the
blocks (embedding, head) is one more unit, which stays from its first use to the end of the backward
pass, and so does the last block: they are gathered once.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from groundup.core.processes import Group, Wait
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.buckets import Queue
from groundup.parallel.hooks import eager
from groundup.parallel.sharded import Sharded
from groundup.parallel.share import Share, held_by_each


class FullySharded(Sharded):
    """As `Sharded`, and the weights come and go.

    parameters: those of the model that are sharded, by key; others stay. sent: the format in which
    weights are gathered and compute; those that are kept, and sums of gradients, have the
    parameters' own. device: where they compute, and shares are kept; the model comes there block by
    block, and never as a whole. uneven: parameters that do not count where shares are made equal.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: Mapping[str, nn.Parameter],
        optimizer: OptimizerConfig,
        group: Group,
        *,
        sent: torch.dtype,
        device: torch.device,
        uneven: Set[nn.Parameter] = frozenset(),
    ):
        modules = list(getattr(model, "blocks", []))
        key_of = {p: key for key, p in parameters.items()}
        inside = [{*module.parameters()} for module in modules]
        outside = set(model.parameters()).difference(*inside)
        self._units: list[_Unit] = []
        units: list[_Unit | None] = []
        for members in [outside, *inside]:
            trained = {key: p for p, key in key_of.items() if p in members}
            even = [unit for unit in self._units if uneven.isdisjoint(unit.parameters)]
            before = held_by_each(even, group)
            unit = _Unit(trained, optimizer, group, before, sent, device) if trained else None
            units.append(unit)
            self._units = [unit for unit in units if unit is not None]
        for tensor in (*model.parameters(), *model.buffers()):  # those that are not sharded
            if tensor.device != device:
                tensor.data = tensor.data.to(device)
        around, *blocks = units
        if around is not None:
            within = {inner for module in modules for inner in module.modules()}
            for module in model.modules():
                if module not in within:
                    module.register_forward_pre_hook(eager(around.before_use))
        row = [(m, unit) for m, unit in zip(modules, blocks, strict=True) if unit is not None]
        for index, (module, unit) in enumerate(row):
            unit.before = row[index - 1][1] if index else None
            unit.after = row[index + 1][1] if index + 1 < len(row) else None
            module.register_forward_pre_hook(eager(unit.before_use))
            module.register_forward_hook(eager(unit.after_use))
        backwards = [*reversed(self._units[1:]), self._units[0]] if around else self._units[::-1]
        super().__init__(backwards, optimizer, group, each_pass=True)
        for unit in self._units:
            unit.queue = self._queue

    @contextmanager
    def whole(self) -> Iterator[None]:
        for unit in self._units:
            unit.hold()
        try:
            yield
        finally:
            for unit in self._units:
                unit.let_go()

    def volume(self, passes: int) -> float:
        gradients = sum(unit.gradient_bytes for unit in self._units)
        weights = sum(unit.weight_bytes * (1 if unit.stays else 2) for unit in self._units)
        return self.group.ring * passes * (gradients + weights)

    def weights(self) -> dict[str, Tensor]:
        return self._own

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        self._share()

    def _share(self) -> None:
        """The next use gathers; what was gathered before is of before the update."""
        for unit in self._units:
            unit.forget()


class _Unit(Share):
    """A share of weights that are not always there: of a block, or of what is around the blocks.

    before, after: the blocks that compute before and after it.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        optimizer: OptimizerConfig,
        group: Group,
        held: Sequence[int],
        sent: torch.dtype,
        device: torch.device,
    ):
        super().__init__(parameters, optimizer, group, held, apart=device, sent=sent)
        self.before: _Unit | None = None
        self.after: _Unit | None = None
        self.queue: Queue | None = None
        self._exact = False  # the weights are there, in the format in which they are kept
        self._here = True
        self._backward = False  # a backward pass has reached it, or goes through it
        self._coming: tuple[Tensor, Wait] | None = None
        for parameter in self.parameters:  # in a memory of its own, which comes and goes
            parameter.data = torch.empty(parameter.shape, dtype=sent, device=device)
        self.release()

    @property
    def stays(self) -> bool:
        """Whether it is not let go between its forward and its backward pass: what is around the
        blocks is used by both, and the last block's turn comes next."""
        return self.after is None

    def come(self) -> None:
        """Begin to gather."""
        if not self._here and self._coming is None:
            self._coming = self.send_weights()

    def need(self) -> None:
        """Until the weights are there."""
        self.come()
        if self._coming is not None:
            sections, wait = self._coming
            wait()
            for parameter in self.parameters:
                parameter.untyped_storage().resize_(parameter.numel() * parameter.itemsize)
            self.unpack(sections)
            self._coming, self._here = None, True

    def release(self) -> None:
        """Let go of the memory, not of the parameters: autograd knows them."""
        if not self._exact:
            for parameter in self.parameters:
                parameter.untyped_storage().resize_(0)
            self._here = False

    def forget(self) -> None:
        """What is there, or comes, is of before an update."""
        assert not self._exact, "weights that are held must not change"
        if self._coming is not None:
            self._coming[1]()
            self._coming = None
        self._backward = False
        self.release()

    def hold(self) -> None:
        """Gather in the format in which weights are kept, until `let_go`."""
        self.forget()
        assert self.kept is not None
        sections, wait = self.send_weights(self.kept.dtype)
        wait()
        for parameter in self.parameters:
            parameter.data = torch.empty_like(parameter, dtype=self.kept.dtype)
        self.unpack(sections)
        self._exact = self._here = True

    def let_go(self) -> None:
        self._exact = False
        for parameter in self.parameters:
            parameter.data = torch.empty_like(parameter, dtype=self._sent)
        self.release()

    def before_use(self, module: nn.Module, inputs: Any) -> None:  # noqa: ARG002
        self.need()
        if self.after is not None and not self._backward:
            self.after.come()

    def after_use(self, module: nn.Module, inputs: Any, outputs: Any) -> None:  # noqa: ARG002
        if self._backward:  # it computes anew what was not kept, and will be needed at once
            return
        # The first output is the residual stream: what comes out last goes back in first.
        learning = next((tensor for tensor in _tensors(outputs) if tensor.requires_grad), None)
        if learning is not None:
            learning.register_hook(self._before_backward)
        if learning is None or not self.stays:
            self.release()

    def send(self) -> Wait:
        wait = super().send()
        self._backward = False
        self.release()
        return wait

    def _before_backward(self, gradient: Tensor) -> None:  # noqa: ARG002
        if self.after is not None:  # every process sends it here, though one may lack gradients
            assert self.queue is not None
            self.queue.complete(self.after)
        self._backward = True
        self.need()
        if self.before is not None:
            self.before.come()


def _tensors(outputs: Any) -> Sequence[Tensor]:
    """The tensors of what a module returns."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, tuple | list):
        return [tensor for output in outputs for tensor in _tensors(output)]
    return []
