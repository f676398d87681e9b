"""Meters of a training step: something is counted, and always charged to whoever is at work.

Nothing is left out and nothing counted twice, so that the accounts sum to the whole.
"""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from groundup.core.device import Device
from groundup.kernels.cpu import watched
from groundup.train.probe import wait

Account = TypeVar("Account", bound=Hashable)

REST = "rest"


class Stopwatch(Generic[Account]):
    """Time. The device is waited for wherever the work changes hands."""

    def __init__(self, device: Device):
        self._device = device
        self._spent: defaultdict[Account, float] = defaultdict(float)
        self._now: tuple[Account, float] | None = None  # who is at work, and since when

    def enter(self, account: Account | None) -> None:
        """From now on `account` is at work; None: nobody."""
        wait(self._device)
        now = time.perf_counter()
        if self._now is not None:
            self._spent[self._now[0]] += now - self._now[1]
        self._now = None if account is None else (account, now)

    def take(self) -> dict[Account, float]:
        """Stop, and begin anew: the seconds of each account since the last time."""
        self.enter(None)
        spent, self._spent = dict(self._spent), defaultdict(float)
        return spent


@contextmanager
def phase_of(stopwatch: Stopwatch[str], name: str) -> Iterator[None]:
    """The context of a phase, as `steps` takes it; what comes after it is `REST`."""
    stopwatch.enter(name)
    yield
    stopwatch.enter(REST)


def median_of(times: Sequence[dict[Account, float]]) -> dict[Account, float]:
    """The one whose sum is the median, the lower of two: its accounts still sum to a whole."""
    totals = [sum(accounts.values()) for accounts in times]
    return times[totals.index(statistics.median_low(totals))]


class Traffic(TorchDispatchMode, Generic[Account]):
    """Bytes that the operators within the context would move, if each read all its inputs from
    memory and wrote all its outputs there. What a cache keeps, moves less; views move nothing.

    moved: by account.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved: Counter[Account] = Counter()
        self._account: Account | None = None

    def __enter__(self) -> "Traffic[Account]":
        self._watching = watched(self._count)
        self._watching.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._watching.__exit__(None, None, None)

    def enter(self, account: Account | None) -> None:
        """From now on `account` is at work; None: nobody."""
        self._account = account

    def _count(self, tensors: Sequence[Tensor]) -> None:
        if self._account is not None:
            self.moved[self._account] += sum(map(_bytes, tensors))

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not (func.is_view or func in _FREE):
            leaves = tree_leaves((args, kwargs, result))
            self._count([leaf for leaf in leaves if isinstance(leaf, Tensor)])
        return result


_FREE = {  # operators that neither read nor write
    torch.ops.aten._unsafe_view.default,
    torch.ops.aten.empty.memory_format,
    torch.ops.aten.empty_like.default,
    torch.ops.aten.new_empty.default,
    torch.ops.aten.new_empty_strided.default,
    torch.ops.aten.empty_strided.default,
}


def _bytes(tensor: Tensor) -> int:
    """Of the tensor's elements; a repeated one counts once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
