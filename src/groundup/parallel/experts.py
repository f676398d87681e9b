"""Expert parallelism (Lepikhin et al. 2020, "GShard", section 3.3): the experts of a mixture live
in different processes, and tokens travel to theirs and back.

    tokens, sorted by expert ──to the experts' processes──► computed there ──back──► their sum

Each process routes the tokens of its own rows. Of its N·k choices about (P − 1)/P belong to experts
of others, so with P processes, k choices of a token, and n bytes of activations it sends

    4 · k · (P − 1)/P · n        bytes for each mixture and micro-batch,

there and back, forward and backward. How many rows go where depends on the data; that is told
first.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.core.errors import InputError
from groundup.core.processes import Group
from groundup.layers import MoE
from groundup.layers.moe import MixtureOfExperts
from groundup.models import Decoder
from groundup.parallel.collectives import trade_rows
from groundup.parallel.hooks import eager

MATRICES = ("gate", "up", "down")  # of a mixture, a row of each for an expert
Serve = Callable[[Tensor, Tensor], Tensor]


def check_experts(config: Decoder, size: int) -> None:
    """Raises `InputError` where the experts cannot be dealt out to `size` processes."""
    if size == 1:
        return
    mixtures = [n for n in map(config.mlp_of, range(config.depth)) if isinstance(n, MoE)]
    if not mixtures:
        raise InputError(f"experts={size} needs a mixture of experts, which the model has not.")
    for mixture in mixtures:
        if mixture.experts % size:
            raise InputError(
                f"experts={size} does not divide the model's {mixture.experts} experts: choose a "
                "size that does."
            )


def share_experts(mixture: MixtureOfExperts, group: Group) -> None:
    """Let a mixture keep the matrices of as many experts as a process has, which are to be filled
    in, and serve all of them."""
    own, each = mixture.serve, mixture.config.experts // group.size
    for name in MATRICES:
        setattr(mixture, name, nn.Parameter(getattr(mixture, name).detach()[:each].clone()))

    def serve(parts: Tensor, counts: Tensor) -> Tensor:
        return _served(own, each, group, parts, counts)

    mixture.serve = eager(serve)


def _served(own: Serve, each: int, group: Group, parts: Tensor, counts: Tensor) -> Tensor:
    """See `MixtureOfExperts.serve`. own: the same, of the `each` experts of this process."""
    P = group.size
    arriving = torch.empty_like(counts)  # from each process, for each of the experts here
    group.redistribute(arriving, counts.contiguous(), [each] * P, [each] * P)()
    to_each = counts.view(P, each).sum(1).tolist()
    from_each = arriving.view(P, each).sum(1).tolist()
    served = sum(to_each)  # what is beyond capacity stays at home
    visitors = trade_rows(parts[:served], group, to_each, from_each)
    expert = torch.arange(each, device=parts.device).repeat(P).repeat_interleave(arriving)
    order = expert.argsort(stable=True)
    place = torch.empty_like(order).scatter(0, order, torch.arange(len(order)).to(order))
    done = own(visitors[order], arriving.view(P, each).sum(0))
    back = trade_rows(done[place], group, from_each, to_each)
    return F.pad(back, (0, 0, 0, len(parts) - served))
