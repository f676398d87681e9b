"""Sharded optimizer state and gradients (Rajbhandari et al. 2020, "ZeRO", stages 1 and 2): every
process holds all weights, and of the optimizer's state a share. It updates the weights of its share
and gives them to the others.

A gradient's sum is needed in one place alone, where its weight is updated. So the first half of an
all-reduce, which leaves each process with the sums of one part, goes before the update, and the
second half, which hands the parts round, goes after it and takes the new weights: as many bytes as
data parallelism sends,

    2 · (N − 1)/N · n        for n bytes of weights.

With sharded gradients each micro-batch pays the first half.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor

from groundup.core.processes import Group, Wait
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.buckets import Queue
from groundup.parallel.share import Share


class Sharded:
    """See `Reduction` and `optim.Optimizer`: both, in a process that keeps a share of the state.

    State is named as in one process, that of a part of a parameter with the rows which it is of:
    `first.embedding.weight[0:512]`.
    """

    copies = 1
    shares_state = True

    def __init__(
        self,
        shares: Sequence[Share],
        optimizer: OptimizerConfig,
        group: Group,
        *,
        each_pass: bool,
    ):
        """each_pass: the gradients of each micro-batch are sent and forgotten; else the sums over a
        step's micro-batches are."""
        self.group = group
        self._each_pass = each_pass
        self._shares = shares
        self._queue = Queue(shares)
        own = {name: rows for share in shares for name, rows in share.own.items()}
        self._own = {name: own[name] for name in sorted(own)}
        self._optimizer = optimizer.build(self._own)

    @contextmanager
    def passing(self, *, last: bool) -> Iterator[None]:
        if not (last or self._each_pass):
            yield
            return
        with self._queue.open():
            yield
        if last:
            for share in self._shares:
                share.hand_over()

    def held(self) -> Iterable[Tensor]:
        return self._own.values()

    def clear(self) -> None:
        for share in self._shares:
            share.clear()

    def step(self, scale: float) -> None:
        self._optimizer.step(scale)
        self._share()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        with self._optimizer.averaged():
            self._share()
            yield
        self._share()

    def volume(self, passes: int) -> float:
        gradients = sum(share.gradient_bytes for share in self._shares)
        weights = sum(share.weight_bytes for share in self._shares)
        return self.group.ring * (gradients * (passes if self._each_pass else 1) + weights)

    @contextmanager
    def whole(self) -> Iterator[None]:
        yield

    def weights(self) -> dict[str, Tensor] | None:
        return None

    def tensors(self) -> dict[str, Tensor]:
        return self._optimizer.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self._optimizer.load(tensors)

    def _share(self) -> None:
        """Give the weights of this process's parts to the others and take theirs, one share on its
        way while the one before it is unpacked."""
        before = None
        for share in self._shares:
            begun = share, *share.send_weights()
            if before:
                _unpack(*before)
            before = begun
        if before:
            _unpack(*before)


def _unpack(share: Share, sections: Tensor, wait: Wait) -> None:
    wait()
    share.unpack(sections)
