"""Gradients that are sent together, while the backward pass goes on."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from groundup.core.processes import Wait


class Bucket(Protocol):
    """Gradients of some parameters that are sent together."""

    parameters: list[Tensor]

    def take(self, parameter: Tensor) -> None:
        """Move a parameter's gradient, which may be None, to where it is sent from."""
        ...

    def send(self) -> Wait: ...

    def receive(self) -> None:
        """What is to be done with the sums, once the wait is over."""
        ...


class Queue:
    """Sends each bucket as soon as a backward pass has filled it, while the pass goes on. Two are
    on their way at most, so that what they take does not add up.

    Where gradients are lacking in some processes alone, these send later than others. So nothing
    else may be exchanged within the pass that waits for all of them, but for what is told to
    `complete` first.
    """

    def __init__(self, buckets: Sequence[Bucket]):
        self._buckets = buckets
        self._bucket_of: dict[Tensor, int] = {
            parameter: index for index, b in enumerate(buckets) for parameter in b.parameters
        }
        self._missing: list[set[Tensor]] = []
        self._begun: list[Wait] = []
        self._received = 0
        for parameter in self._bucket_of:
            parameter.register_post_accumulate_grad_hook(self._arrived)

    @contextmanager
    def open(self) -> Iterator[None]:
        """A context for a backward pass; when it ends, all buckets have been sent and received."""
        self._missing = [set(bucket.parameters) for bucket in self._buckets]
        self._begun, self._received = [], 0
        yield
        self._complete(len(self._buckets))
        self._receive(len(self._buckets))
        self._missing = []

    def complete(self, bucket: Bucket) -> None:
        """No more gradients of this pass come for a bucket, nor for those before it."""
        if self._missing:
            self._complete(1 + self._buckets.index(bucket))

    def _complete(self, count: int) -> None:
        for bucket, missing in zip(self._buckets[:count], self._missing, strict=False):
            while missing:  # these have gradients of earlier passes alone, or none
                bucket.take(missing.pop())
        self._send(count)

    def _arrived(self, parameter: Tensor) -> None:
        if not self._missing:  # closed
            return
        index = self._bucket_of[parameter]
        self._buckets[index].take(parameter)
        self._missing[index].discard(parameter)
        self._send(len([*itertools.takewhile(lambda missing: not missing, self._missing)]))

    def _send(self, count: int) -> None:
        """Begin the first `count` exchanges, in one order: processes whose gradients arrive in
        different ones would mix up their buckets."""
        for bucket in self._buckets[len(self._begun) : count]:
            self._begun.append(bucket.send())
            self._receive(len(self._begun) - 2)

    def _receive(self, count: int) -> None:
        """Wait for the first `count`."""
        while self._received < count:
            self._begun[self._received]()
            self._buckets[self._received].receive()
            self._received += 1


def fill_buckets(
    parameters: Sequence[nn.Parameter], bucket_bytes: float
) -> list[list[nn.Parameter]]:
    """Buckets of one format and at most so many bytes, or of a single parameter that has more; in
    the order in which a backward pass fills them, which begins at the last parameter."""
    buckets: list[list[nn.Parameter]] = []
    latest: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter in reversed(parameters):
        bucket = latest.get(parameter.dtype)
        if bucket is None or _bytes([*bucket, parameter]) > bucket_bytes:
            bucket = latest[parameter.dtype] = []
            buckets.append(bucket)
        bucket.append(parameter)
    return buckets


def _bytes(parameters: Iterable[Tensor]) -> int:
    return sum(p.numel() * p.element_size() for p in parameters)
