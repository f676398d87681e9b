"""When the compiled core is called, and how it is given tensors: by their addresses."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd.function import once_differentiable

from groundup.core.native import core

# Numbers of the smallest tensor for which a call, some 20 µs with its gradient's, pays; without a
# gradient it always does.
_LEAST = 1 << 13
FORMATS = (torch.float32, torch.bfloat16)
# Whether there are loops for this processor; where none are, the formulas serve.
HAS_LOOPS = core is not None and bool(core.loop_kinds())
_used: ContextVar[bool] = ContextVar("used", default=True)
_watchers: list[Callable[[Sequence[Tensor]], None]] = []

Backward = TypeVar("Backward", bound=Callable[..., Any])


def takes(*tensors: Tensor) -> bool:
    """Whether the compiled core is to work on them: on a CPU, of one of its formats, not too small.

    Tensors that have no numbers, for the prediction of memory, count like those that have. Where
    PyTorch compiles, never: it fuses the formulas.
    """
    if torch.compiler.is_compiling():  # first of all, as the compiler cannot read what follows
        return False
    first = tensors[0]
    return (
        HAS_LOOPS
        and first.device.type in ("cpu", "meta")
        and first.dtype in FORMATS
        and (first.numel() >= _LEAST or not torch.is_grad_enabled())
        and all(tensor.dtype == first.dtype for tensor in tensors)
        and _used.get()
    )


@contextmanager
def without_core() -> Iterator[None]:
    """A context in which the formulas are used."""
    token = _used.set(False)
    try:
        yield
    finally:
        _used.reset(token)


@contextmanager
def watched(watcher: Callable[[Sequence[Tensor]], None]) -> Iterator[None]:
    """A context in which the watcher is told the tensors of each call, which PyTorch's own
    instruments do not see."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def call(function: Callable[..., None], like: Tensor, *arguments: Tensor | float | None) -> None:
    """Call a function of the core with the number of threads, the format of `like`, and arguments.

    Tensors are given by their addresses, None as zero; they must be dense. Nothing is done for
    tensors without numbers.
    """
    if like.dtype not in FORMATS:
        raise TypeError(f"the compiled core takes float32 and bfloat16, not {like.dtype}")
    if like.is_meta or isinstance(like, FakeTensor):
        return
    for watcher in _watchers:
        watcher([argument for argument in arguments if isinstance(argument, Tensor)])
    addresses = []  # written out: a model that generates spends its time here
    for argument in arguments:
        if isinstance(argument, Tensor):
            if not argument.is_contiguous():
                raise ValueError("the compiled core takes dense tensors")
            addresses.append(argument.data_ptr())
        else:
            addresses.append(0 if argument is None else argument)
    function(torch.get_num_threads(), like.dtype == torch.bfloat16, *addresses)


def address(tensor: Tensor | None) -> int:
    """Where a dense tensor's numbers stand, zero for none; they must stay while it is used."""
    if tensor is None:
        return 0
    need(tensor.is_contiguous(), "the compiled core takes dense tensors")
    return tensor.data_ptr()


def need(fits: bool, what: str) -> None:
    """Raises `ValueError` where shapes do not fit: the core would read what is not there."""
    if not fits:
        raise ValueError(what)


def first_order(backward: Backward) -> Backward:
    """Marks the backward pass of an `autograd.Function`, which calls the core: a gradient of its
    gradient is refused, where it would be wrong."""
    return cast(Backward, once_differentiable(backward))
