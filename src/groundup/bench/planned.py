"""What the planner's model of costs (`scaling.cluster`) says of steps that were measured on this
machine: how far it can be trusted where nothing can be measured.

It is given two rates: that of exchanges, as measured by itself, and one of all computing, with
which data parallelism takes the time that it took. The other ways are predicted.
"""

from collections.abc import Mapping

from groundup.models import Decoder
from groundup.scaling.accelerators import Accelerator
from groundup.scaling.cluster import Composition, estimate

_FREE = 1e30  # a rate of what the one rate of computing stands for
_TRIED = 1e11  # FLOPs a second


def planned_seconds(
    model: Decoder,
    tokens: int,
    ways: Mapping[str, Composition],
    known: str,
    seconds: float,
    exchanged: float,
) -> dict[str, float]:
    """Seconds of a step by each of the ways; nothing where exchanges alone would have taken longer
    than the step. known: the one that took so many. exchanged: bytes a second that a process
    sends. Processes that share a sequence's positions are taken to share the weights, too."""

    def accelerator(rate: float) -> Accelerator:
        return Accelerator(
            name="processes of this machine",
            memory=_FREE,
            matrix=rate,
            matrix8=rate,
            attention=rate,
            attention_backward=rate,
            bandwidth=_FREE,
            link=exchanged,
            network=exchanged,
            number=4,
            overlaps=False,
        )

    tried = estimate(model, tokens, ways[known], accelerator(_TRIED)).seconds
    computing = tried.matrices + tried.attention
    left = seconds - (tried.total - computing)
    if left <= 0:
        return {}
    rate = _TRIED * computing / left
    return {
        name: estimate(model, tokens, way, accelerator(rate)).seconds.total
        for name, way in ways.items()
    }
