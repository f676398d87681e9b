"""What each part of a model does in a forward and a backward pass: time, FLOPs, bytes moved; and
the memory that training needs, by kind.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

from groundup.models import LanguageModel
from groundup.models.memory import bytes_saved
from groundup.train.borders import BETWEEN, at_borders
from groundup.train.meters import Stopwatch, Traffic, median_of
from groundup.train.step import Training

LossOf = Callable[[LanguageModel], tuple[Tensor, dict[str, float]]]  # of a micro-batch

_WAYS = ("forward", "backward")
_Way = tuple[str, str]  # one of them, and the part


def profile_parts(
    training: Training[LanguageModel],
    loss_of: LossOf,
    flops: Mapping[str, int],
    *,
    repeats: int,
) -> list[dict[str, Any]]:
    """The parts in the order in which they are at work, and last what lies between them.

    flops: of a part's forward pass, as `part_flops` counts them; the backward pass has twice as
    many. repeats: passes that are timed; the times are those of the one with the median sum. The
    model must not be compiled. The gradients of a pass stay.
    """
    stopwatch, traffic = Stopwatch[_Way](training.device), Traffic[_Way]()
    times: list[dict[_Way, float]] = []
    for _ in range(repeats):
        _pass_through(training, loss_of, stopwatch.enter)
        times.append(stopwatch.take())
    with traffic:
        _pass_through(training, loss_of, traffic.enter)
    spent = median_of(times)
    total = sum(spent.values())
    parts = sorted(dict.fromkeys(part for _, part in spent), key=lambda part: part == BETWEEN)
    rows = []
    for part in parts:
        seconds = {way: spent.get((way, part), 0.0) for way in _WAYS}
        work = {"forward": flops.get(part, 0), "backward": 2 * flops.get(part, 0)}
        rows.append(
            {
                "part": part,
                "seconds": seconds,
                "share": sum(seconds.values()) / total,
                "flops": work,
                "bytes": {way: traffic.moved[way, part] for way in _WAYS},
                "flops_per_second": sum(work.values()) / sum(seconds.values()),
            }
        )
    return rows


def _pass_through(
    training: Training[LanguageModel], loss_of: LossOf, enter: Callable[[_Way | None], None]
) -> None:
    """A forward and a backward pass, in which a meter is told who is at work."""
    training.model.zero_grad(set_to_none=True)
    direction = "forward"

    def moved(part: str) -> None:
        enter((direction, part))

    with at_borders(training.model, moved):
        moved(BETWEEN)
        with training.device.autocast():
            loss, _ = loss_of(training.model)
        direction = "backward"
        moved(BETWEEN)
        loss.backward()
        enter(None)


def bytes_by_kind(training: Training[LanguageModel], loss_of: LossOf) -> dict[str, int]:
    """Bytes of weights, of the gradients and the optimizer's state that there are, and of what
    autograd saves in a forward pass."""
    weights = list(training.model.parameters())
    with training.device.autocast():
        activations = bytes_saved(training.model, lambda: loss_of(training.model))
    return {
        "weights": _bytes(weights),
        "gradients": _bytes(weight.grad for weight in weights if weight.grad is not None),
        "optimizer": _bytes(training.optimizer.tensors().values()),
        "activations": activations,
    }


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
