"""Which part of a model is at work, at any moment of a forward and a backward pass.

A module begins its forward pass where it is called, and ends it where it returns. It begins its
backward pass where the gradient of an output is known, and ends it where that of its input is.
Hooks stand at these borders. Of what is ready, autograd runs first what was done last, so that a
module's operations lie together in the backward pass as they did in the forward pass.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from groundup.models import LanguageModel
from groundup.models.parts import parts_of

BETWEEN = "between the parts"  # residual additions, masks, losses that are no part's


@contextmanager
def at_borders(model: LanguageModel, moved: Callable[[str], None]) -> Iterator[None]:
    """A context in which `moved` is called with the part that work passes to, whenever it does: a
    name of `parts_of`, or `BETWEEN`. The model must not be compiled: its code knows no borders.
    """
    at_work: nn.Module | None = None

    def enter(module: nn.Module, part: str) -> None:
        nonlocal at_work
        at_work = module
        moved(part)

    def leave(module: nn.Module) -> None:
        nonlocal at_work
        if at_work is module:  # or it was left already, as the module below it was entered
            at_work = None
            moved(BETWEEN)

    def watch(part: str, module: nn.Module) -> list[Any]:
        def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            for tensor in _with_gradients(inputs):
                tensor.register_hook(lambda _: leave(module))
            enter(module, part)

        def after(module: nn.Module, _inputs: Any, outputs: Any) -> None:
            leave(module)
            for tensor in _with_gradients(outputs):
                tensor.register_hook(lambda _: enter(module, part))

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    handles = [handle for part, module in parts_of(model) for handle in watch(part, module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _with_gradients(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples that autograd computes a gradient for."""
    if isinstance(value, Tensor) and value.requires_grad:
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _with_gradients(item)
