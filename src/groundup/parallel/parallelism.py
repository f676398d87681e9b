"""How a training is laid over its processes."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from groundup.core.errors import InputError
from groundup.core.mesh import ONE_CELL, Axis, Mesh
from groundup.core.processes import ONE, Group
from groundup.models.families import Architecture
from groundup.optim import Optimizer
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.assembled import Assembled
from groundup.parallel.buckets import fill_buckets
from groundup.parallel.exchange import Exchange, Member, Reduction, Together
from groundup.parallel.fully_sharded import FullySharded
from groundup.parallel.part import Part, check_part, part_of
from groundup.parallel.pipeline import Schedule
from groundup.parallel.replicated import Averaging, Replicated
from groundup.parallel.sharded import Sharded
from groundup.parallel.share import Share, held_by_each

Shard = Literal["nothing", "optimizer", "gradients", "weights"]

_CPU = torch.device("cpu")


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
        for name, known in (("shard", Shard), ("schedule", Schedule), ("averaging", Averaging)):
            if getattr(self, name) not in get_args(known):
                choices = ", ".join(get_args(known))
                raise ValueError(f"{name} {getattr(self, name)!r} is not one of {choices}")
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
        return Mesh(group, self.sizes(group.size))

    def sizes(self, processes: int) -> dict[Axis, int]:
        """Of the mesh of so many processes. Raises `InputError` where they do not fit."""
        return {
            "pipeline": self.pipeline,
            "replica": self.readers(processes) // self.experts,
            "expert": self.experts,
            "context": self.context,
            "tensor": self.tensor,
        }

    def check(self, config: Architecture, processes: int) -> None:
        """Raises `InputError` for a model that so many processes cannot share so."""
        check_part(config, self.sizes(processes))

    def divide(self, model: nn.Module, group: Group, device: torch.device = _CPU) -> Part:
        """What this process computes of a model, which each process has whole; all begin with the
        first one's weights. device: where the part is to be. Raises `InputError` where it cannot be
        divided so."""
        apart = self.shard == "weights"  # it takes them to the device itself, block by block
        return part_of(model, self.mesh(group), device, self.schedule, stays=apart)

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
        groups = {group.name: group for group in part.sums.values()}
        members = []
        for _, group in sorted(groups.items()):
            trained = {
                part.keys.get(name, name): p
                for name, p in part.model.named_parameters()
                if p.requires_grad and part.sums[name].name == group.name
            }
            if trained:
                made = self._reduction(part, trained, optimizer, group, compute_dtype)
                members.append(Member([*trained], *made))
        exchange = Exchange(
            mesh,
            members,
            keys=part.keys,
            names=part.names,
            order=part.pipeline.order if part.pipeline else None,
        )
        return exchange, Together(members)

    def _reduction(
        self,
        part: Part,
        parameters: dict[str, nn.Parameter],
        optimizer: OptimizerConfig,
        group: Group,
        compute_dtype: torch.dtype,
    ) -> tuple[Reduction, Optimizer]:
        most = self.bucket_megabytes * 1e6
        if self.shard == "nothing":
            replicated = Replicated(parameters, group, averaging=self.averaging, bucket_bytes=most)
            return replicated, optimizer.build(parameters)
        key_of = {parameter: key for key, parameter in parameters.items()}
        # What is dealt out must not depend on sizes that differ from process to process.
        uneven = {p for n, p in part.model.named_parameters() if n in part.uneven and p in key_of}
        if self.shard == "weights":
            options = {"uneven": uneven, "sent": compute_dtype, "device": part.device}
            sharded = FullySharded(part.model, parameters, optimizer, group, **options)
            return sharded, sharded
        shares: list[Share] = []
        for some in (key_of.keys() - uneven, uneven):
            members = [parameter for parameter in key_of if parameter in some]
            for bucket in fill_buckets(members, most):
                before = held_by_each(shares, group)
                shares.append(Share({key_of[p]: p for p in bucket}, optimizer, group, before))
        sharded = Sharded(shares, optimizer, group, each_pass=self.shard == "gradients")
        return sharded, sharded


REPLICATED = Parallelism()


def alone(model: nn.Module, optimizer: Optimizer) -> Exchange:
    """Of a process without others."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    member = Member([*parameters], Replicated(parameters, ONE), optimizer)
    return Exchange(ONE_CELL, [member])


ALONE = Exchange(ONE_CELL, [])  # for what needs nothing of a training's own
