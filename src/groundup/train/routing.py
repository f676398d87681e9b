"""Routers in training: what is written down of them, and how their experts are kept busy."""

from collections.abc import Sequence

import torch
from torch import Tensor

from groundup.core.processes import Group
from groundup.layers import RouterReport
from groundup.layers.moe import MixtureOfExperts
from groundup.models import LanguageModel


def router_notes(reports: Sequence[RouterReport]) -> dict[str, float]:
    """Of all routers together: the share of the busiest expert against an even one, and of the
    choices that found no room. Nothing for a model without routers."""
    if not reports:
        return {}
    busiest = torch.stack([report.load.max() * len(report.load) for report in reports])
    dropped = torch.stack([report.dropped for report in reports])
    return {"router_busiest": float(busiest.mean()), "router_dropped": float(dropped.mean())}


def rebalance(
    model: LanguageModel, loads: Sequence[Sequence[Tensor]], rate: float, group: Group
) -> None:
    """Move the biases of all routers against their loads in a step.

    loads: of each of this process's micro-batches, in the order of the blocks.
    """
    routers = [module for module in model.modules() if isinstance(module, MixtureOfExperts)]
    for index, router in enumerate(routers):
        load = torch.stack([micro[index] for micro in loads]).mean(0)
        group.sum(load)()
        router.rebalance(load / group.size, rate)
