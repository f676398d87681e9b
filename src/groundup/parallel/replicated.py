"""Data parallelism: every process holds all weights and learns from its own rows of a batch, and
the gradients are averaged (Li et al. 2020, "PyTorch Distributed: experiences on accelerating data
parallel training").

A ring of N processes adds up n bytes in 2·(N − 1) steps of n/N bytes, so each sends

    2 · (N − 1)/N · n        bytes,

whichever way the n bytes are cut (section 2.3 there). The ways differ in how many exchanges there
are, each with a latency of its own, and in whether they run while the backward pass goes on.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from groundup.core.processes import Group, Wait
from groundup.parallel.buckets import Queue, fill_buckets

Averaging = Literal["one by one", "flat", "bucketed"]


class Replicated:
    """See `Reduction`. All weights, gradients and optimizer state are in every process."""

    shares_state = False

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        group: Group,
        *,
        averaging: Averaging = "bucketed",
        bucket_bytes: float = 25e6,
    ):
        """averaging: "one by one", an exchange for each parameter after the backward pass; "flat",
        one for all of them; "bucketed", one for each bucket, as soon as the pass has filled it."""
        self.group, self.copies = group, group.size
        self._parameters = [p for p in parameters.values() if p.requires_grad]
        self._averaging = averaging
        most = {"one by one": 0, "flat": math.inf, "bucketed": bucket_bytes}[averaging]
        buckets = fill_buckets(self._parameters, most) if group.size > 1 else []
        self._buckets = [_Bucket(members, group) for members in buckets]
        self._queue = Queue(self._buckets) if averaging == "bucketed" else None

    @contextmanager
    def passing(self, *, last: bool) -> Iterator[None]:
        if last and self._queue is not None:
            with self._queue.open():
                yield
        else:
            yield
            if last:
                self._send_all()
        if last:
            for bucket in self._buckets:
                bucket.hand_over()

    def held(self) -> Iterable[Tensor]:
        return self._parameters

    def clear(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def volume(self, passes: int) -> float:  # noqa: ARG002
        return 2 * self.group.ring * sum(bucket.nbytes for bucket in self._buckets)

    def whole(self) -> AbstractContextManager[None]:
        return nullcontext()

    def weights(self) -> None:
        return None

    def _send_all(self) -> None:
        for bucket in self._buckets:
            for parameter in bucket.parameters:
                bucket.take(parameter)
            bucket.send()()
            bucket.receive()


class _Bucket:
    """See `buckets.Bucket`: gradients in one buffer, and at its end of each whether it exists."""

    def __init__(self, parameters: Sequence[nn.Parameter], group: Group):
        self.parameters: list[Tensor] = list(parameters)
        self._group = group
        sizes = [p.numel() for p in parameters]
        self._buffer = parameters[0].detach().new_zeros(sum(sizes) + len(sizes))
        *views, self._exist = self._buffer.split([*sizes, len(sizes)])
        self._views: dict[Tensor, Tensor] = {
            p: view.view_as(p) for p, view in zip(parameters, views, strict=True)
        }

    @property
    def nbytes(self) -> int:
        return self._buffer.nbytes

    @torch.no_grad()
    def take(self, parameter: Tensor) -> None:
        view = self._views[parameter]
        if parameter.grad is None:
            view.zero_()
        elif parameter.grad is not view:
            view.copy_(parameter.grad)
            parameter.grad = view

    @torch.no_grad()
    def send(self) -> Wait:
        exist = [float(p.grad is not None) for p in self.parameters]
        self._exist.copy_(torch.tensor(exist))
        return self._group.sum(self._buffer)

    def receive(self) -> None:
        """Nothing: the sums are where they were sent from."""

    def hand_over(self) -> None:
        """The sums become the gradients. Which of them exist is read when the pass is over, as a
        GPU would have to be waited for."""
        for parameter, exists in zip(self.parameters, self._exist.tolist(), strict=True):
            parameter.grad = self._views[parameter] if exists else None


def broadcast(tensors: Iterable[Tensor], group: Group) -> None:
    """Every process gets what the first one has: weights and buffers before the first step."""
    for wait in [group.broadcast(tensor.data, 0) for tensor in tensors]:
        wait()
