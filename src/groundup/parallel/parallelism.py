"""How a training is laid over its processes."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from groundup.core.processes import Group
from groundup.optim import Optimizer
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.exchange import Exchange, fill_buckets
from groundup.parallel.fully_sharded import FullySharded
from groundup.parallel.replicated import Averaging, Replicated, broadcast
from groundup.parallel.sharded import Sharded
from groundup.parallel.share import Share, held_by_each

Shard = Literal["nothing", "optimizer", "gradients", "weights"]


@dataclass(frozen=True, kw_only=True)
class Parallelism:
    """shard: what each process keeps a share of; what stands later in the list means all before it,
    too: the optimizer's state, gradients, weights (ZeRO's stages 1, 2 and 3).

    averaging: of gradients that are not sharded (see `parallel.replicated`). bucket_megabytes: what
    is sent together, where it is not a block's weights.
    """

    shard: Shard = "nothing"
    averaging: Averaging = "bucketed"
    bucket_megabytes: float = 25.0

    def __post_init__(self) -> None:
        if self.bucket_megabytes <= 0:
            raise ValueError("bucket_megabytes must be more than 0")

    def apply(
        self,
        model: nn.Module,
        optimizer: OptimizerConfig,
        group: Group,
        compute_dtype: torch.dtype = torch.float32,
    ) -> tuple[Exchange, Optimizer]:
        """What a training step of a process takes. All begin with the first one's weights.

        compute_dtype: the format of matrix products, in which sharded weights come together.
        """
        broadcast([*model.parameters(), *model.buffers()], group)
        if self.shard == "weights":
            sharded = FullySharded(model, optimizer, group, sent=compute_dtype)
            return sharded, sharded
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        most = self.bucket_megabytes * 1e6
        if self.shard == "nothing":
            exchange = Replicated(trained, group, averaging=self.averaging, bucket_bytes=most)
            return exchange, optimizer.build(trained)
        names = {parameter: name for name, parameter in trained.items()}
        shares: list[Share] = []
        for members in fill_buckets(list(names), most):
            before = held_by_each(shares, group)
            shares.append(Share({names[p]: p for p in members}, optimizer, group, before))
        sharded = Sharded(shares, optimizer, group, each_pass=self.shard == "gradients")
        return sharded, sharded


REPLICATED = Parallelism()
ALONE: Exchange = Replicated({}, Group())
