"""How a training is laid over its processes."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from groundup.core.errors import InputError
from groundup.core.mesh import ONE_CELL, Mesh
from groundup.core.processes import ONE, Group
from groundup.optim import Optimizer
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.assembled import Assembled
from groundup.parallel.buckets import fill_buckets
from groundup.parallel.exchange import Exchange, Member, Together
from groundup.parallel.fully_sharded import FullySharded
from groundup.parallel.part import Part, part_of
from groundup.parallel.pipeline import Schedule
from groundup.parallel.replicated import Averaging, Replicated, broadcast
from groundup.parallel.sharded import Sharded
from groundup.parallel.share import Share, held_by_each

Shard = Literal["nothing", "optimizer", "gradients", "weights"]


@dataclass(frozen=True, kw_only=True)
class Parallelism:
    """shard: what each process keeps a share of; what stands later in the list means all before it,
    too: the optimizer's state, gradients, weights (ZeRO's stages 1, 2 and 3).

    tensor: over how many processes each matrix is cut. pipeline: over how many the blocks.
    context: over how many the positions of a sequence. experts: over how many the experts of a
    mixture, of processes that read different rows. What is left of the processes reads different
    rows. schedule: of a pipeline (see `parallel.pipeline`).
    averaging: of gradients that are not sharded (see `parallel.replicated`). bucket_megabytes: what
    is sent together, where it is not a block's weights.
    """

    shard: Shard = "nothing"
    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    experts: int = 1
    schedule: Schedule = "1f1b"
    averaging: Averaging = "bucketed"
    bucket_megabytes: float = 25.0

    def __post_init__(self) -> None:
        if self.bucket_megabytes <= 0:
            raise ValueError("bucket_megabytes must be more than 0")
        if min(self.tensor, self.pipeline, self.context, self.experts) < 1:
            raise ValueError("tensor, pipeline, context and experts must be at least 1")
        if self.shard == "weights" and self.pipeline > 1:
            raise ValueError(
                "weights are not sharded in a pipeline, which would gather them for every "
                "micro-batch: choose shard=optimizer, or pipeline=1"
            )

    def readers(self, processes: int) -> int:
        """How many of the processes read different rows. Raises `InputError` where they do not
        fit."""
        together = self.tensor * self.pipeline * self.context
        if processes % (together * self.experts):
            sizes = {k: getattr(self, k) for k in ("tensor", "pipeline", "context", "experts")}
            shape = " × ".join(f"{name}={size}" for name, size in sizes.items() if size > 1)
            raise InputError(
                f"{shape} needs a multiple of {together * self.experts} processes, and there are "
                f"{processes}: start as many, or choose other sizes."
            )
        return processes // together

    def mesh(self, group: Group) -> Mesh:
        """The processes in their places. Raises `InputError` where they do not fit."""
        return Mesh(
            group,
            {
                "pipeline": self.pipeline,
                "replica": self.readers(group.size) // self.experts,
                "expert": self.experts,
                "context": self.context,
                "tensor": self.tensor,
            },
        )

    def divide(self, model: nn.Module, group: Group) -> Part:
        """What this process computes of a model, which each process has whole; all begin with the
        first one's weights. Raises `InputError` where it cannot be divided so."""
        broadcast([*model.parameters(), *model.buffers()], group)
        return part_of(model, self.mesh(group), self.schedule)

    def apply(
        self,
        part: Part,
        optimizer: OptimizerConfig,
        compute_dtype: torch.dtype = torch.float32,
    ) -> tuple[Exchange, Optimizer]:
        """What a training step of a process takes.

        compute_dtype: the format of matrix products, in which sharded weights come together.
        """
        mesh = part.mesh
        if mesh.sizes["tensor"] > 1:
            optimizer = Assembled(optimizer, mesh.over("tensor"), part.cuts)
        # Those that most have come first: their updates draw the same numbers everywhere.
        groups = sorted({id(g): g for g in part.sums.values()}.values(), key=lambda g: -g.size)
        members = []
        for group in groups:
            trained = {
                part.keys.get(name, name): p
                for name, p in part.model.named_parameters()
                if p.requires_grad and part.sums[name] is group
            }
            if trained:
                members.append(self._member(part.model, trained, optimizer, group, compute_dtype))
        exchange = Exchange(
            mesh,
            members,
            keys=part.keys,
            names=part.names,
            order=part.pipeline.order if part.pipeline else None,
        )
        optimizers = [member.optimizer for member in members]
        return exchange, optimizers[0] if len(optimizers) == 1 else Together(optimizers)

    def _member(
        self,
        model: nn.Module,
        parameters: dict[str, nn.Parameter],
        optimizer: OptimizerConfig,
        group: Group,
        compute_dtype: torch.dtype,
    ) -> Member:
        keys, most = [*parameters], self.bucket_megabytes * 1e6
        if self.shard == "weights":
            sharded = FullySharded(model, parameters, optimizer, group, sent=compute_dtype)
            return Member(keys, sharded, sharded)
        if self.shard == "nothing":
            replicated = Replicated(parameters, group, averaging=self.averaging, bucket_bytes=most)
            return Member(keys, replicated, optimizer.build(parameters))
        key_of = {parameter: key for key, parameter in parameters.items()}
        shares: list[Share] = []
        for some in fill_buckets(list(key_of), most):
            before = held_by_each(shares, group)
            shares.append(Share({key_of[p]: p for p in some}, optimizer, group, before))
        sharded = Sharded(shares, optimizer, group, each_pass=self.shard == "gradients")
        return Member(keys, sharded, sharded)


REPLICATED = Parallelism()


def alone(model: nn.Module, optimizer: Optimizer) -> Exchange:
    """Of a process without others."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    member = Member([*parameters], Replicated(parameters, ONE), optimizer)
    return Exchange(ONE_CELL, [member])


ALONE = Exchange(ONE_CELL, [])  # for what needs nothing of a training's own
