"""What one process of several has of a model: some blocks, some heads, some experts; and how it
computes the losses of some positions with the others."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.core.errors import InputError
from groundup.core.mesh import Axis, Mesh
from groundup.core.processes import Group
from groundup.core.regions import Region, bounds
from groundup.layers import Cache, GroupedQuery, Implementation, MoE, RouterReport
from groundup.layers.documents import numbered, places
from groundup.layers.moe import MixtureOfExperts
from groundup.models import Decoder, DecoderModel
from groundup.models.block import Readout
from groundup.models.decoder import check_length
from groundup.models.families import Architecture
from groundup.models.recompute import Recompute, in_parts
from groundup.parallel.context import Ring, check_context, ring_volume
from groundup.parallel.experts import MATRICES, check_experts, share_experts
from groundup.parallel.pipeline import Pipeline, Schedule, blocks_of
from groundup.parallel.replicated import broadcast
from groundup.parallel.tensor import TensorParallel, narrow


@dataclass(frozen=True)
class Part:
    """Of a process. model: what it computes, by the whole model's names.

    keys: the names of its parameters and buffers, with the box of each that is cut. sums: the
    processes over which the gradient of each parameter is summed, by name. cuts: the axis along
    which the processes of `mesh.over("tensor")` have parts of a parameter, by name; uneven: those
    whose parts differ in size. device: where it computes. names: of all parameters and buffers that
    are saved, of the whole model.
    """

    model: nn.Module
    mesh: Mesh
    keys: Mapping[str, str]
    sums: Mapping[str, Group]
    device: torch.device
    cuts: Mapping[str, int] = field(default_factory=dict)
    uneven: frozenset[str] = frozenset()
    names: frozenset[str] | None = None
    pipeline: Pipeline | None = None


def part_of(
    model: nn.Module,
    mesh: Mesh,
    device: torch.device,
    schedule: Schedule = "1f1b",
    *,
    stays: bool = False,
) -> Part:
    """The part of this process, on a device; with the weights of the first process's model. Where
    processes read different rows and differ in nothing else, it is the whole model.

    stays: such a whole model stays where it is, as it may not fit on the device.
    Raises `InputError` for a model that cannot be divided so.
    """
    if mesh.sizes["replica"] == mesh.world.size:
        if not stays:
            model.to(device)
        for tensor in (*model.parameters(), *model.buffers()):  # one at a time, as below
            value = tensor.detach().to(device)
            broadcast([value], mesh.world)
            tensor.data.copy_(value)
        names = [name for name, _ in model.named_parameters()]
        return Part(model, mesh, {}, dict.fromkeys(names, mesh.world), device)
    if not isinstance(model, DecoderModel):
        kind = type(getattr(model, "config", model)).__name__
        raise InputError(f"a {kind} cannot be divided: only its optimizer can be shared.")
    part = PartOfDecoder(model, mesh, device, schedule)
    keys, sums, cuts, uneven = {}, {}, {}, set()
    held = {**dict(part.named_parameters()), **dict(part.named_buffers())}
    experts = set(_matrices_of_experts(part)) if mesh.sizes["expert"] > 1 else set()
    whole = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, tensor in whole.items():  # one at a time: the whole model may not fit on a device
        value = tensor.detach().to(device)
        broadcast([value], mesh.world)
        if name not in held:
            continue
        region = Region(name)
        for axis, (size, all_of_it) in enumerate(zip(held[name].shape, tensor.shape, strict=True)):
            by: Axis = "expert" if name in experts and axis == 0 else "tensor"
            if size != all_of_it:
                first, last = bounds(all_of_it, mesh.sizes[by], mesh.place[by])
                value = value.narrow(axis, first, last - first)
                region = region.cut(axis, first, last, all_of_it)
                if by == "tensor":
                    cuts[name] = axis
                if all_of_it % mesh.sizes[by]:
                    uneven.add(name)
        held[name].data.copy_(value)
        keys[name] = region.key
        if isinstance(tensor, nn.Parameter):
            held[name].requires_grad_(tensor.requires_grad)
            axes: list[Axis] = ["replica", "context"]
            if name not in experts:
                axes.append("expert")
            if name not in cuts:
                axes.append("tensor")
            if name.startswith("positions.views."):  # which blocks of all stages use
                axes.append("pipeline")
            ends = part.shares_embedding and name == "embedding.weight"
            sums[name] = mesh.over(*axes, ends=ends)
    names = frozenset(name for name in whole if name in model.state_dict())
    part.train(model.training)
    return Part(part, mesh, keys, sums, device, cuts, frozenset(uneven), names, part.pipeline)


def check_part(config: Architecture, mesh_sizes: Mapping[Axis, int]) -> None:
    """Raises `InputError` for a model that cannot be divided over a mesh of these sizes."""
    if all(size == 1 for axis, size in mesh_sizes.items() if axis != "replica"):
        return
    if not isinstance(config, Decoder):
        raise InputError(
            f"a {type(config).__name__} cannot be divided: only its optimizer can be shared."
        )
    narrow(config, mesh_sizes["tensor"], 0)
    blocks_of(config, mesh_sizes["pipeline"], 0)
    check_experts(config, mesh_sizes["expert"])
    check_context(config, mesh_sizes["context"])
    shortest = _shortest(mesh_sizes)
    if config.context < shortest:
        raise InputError(
            f"a context of {config.context} tokens cannot be cut into {shortest} parts: choose "
            "smaller sizes of context and tensor."
        )


def _shortest(sizes: Mapping[Axis, int]) -> int:
    """So many tokens are a part for each process."""
    return sizes["tensor"] * (2 * sizes["context"] if sizes["context"] > 1 else 1)


def _matrices_of_experts(model: nn.Module) -> Iterator[str]:
    for name, module in model.named_modules():
        if isinstance(module, MixtureOfExperts):
            yield from (f"{name}.{kind}" for kind in MATRICES)


class PartOfDecoder(DecoderModel):
    """Of `whole`, what one process has. Its weights are to be filled in.

    Losses and reports are those that this process has computed, and zero elsewhere: sums over the
    processes of the pipeline and of the context are those of the whole model.
    """

    def __init__(self, whole: DecoderModel, mesh: Mesh, device: torch.device, schedule: Schedule):
        config = whole.config
        check_part(config, mesh.sizes)
        with torch.device(device):
            super().__init__(narrow(config, mesh.sizes["tensor"], mesh.place["tensor"]))
        dtype = next(whole.parameters()).dtype
        for parameter in self.parameters():  # and no buffers (see `train.pretrain`)
            parameter.data = parameter.data.to(dtype)
        self.config = config
        self.pipeline = Pipeline(mesh.over("pipeline"), mesh.back, schedule)
        self.shares_embedding = config.tied or config.embedding_in_head
        self._count = whole.parameter_count()
        self._layers = blocks_of(config, mesh.sizes["pipeline"], mesh.place["pipeline"])
        self._remove()
        self._experts, self._context = mesh.over("expert"), mesh.over("context")
        if self._experts.size > 1:
            for module in self.modules():
                if isinstance(module, MixtureOfExperts):
                    share_experts(module, self._experts)
        self._tensor = TensorParallel(mesh.over("tensor"), config)
        if mesh.sizes["tensor"] > 1:
            self._tensor.install(self)
        self._shortest = _shortest(mesh.sizes)

    def _remove(self) -> None:
        """What other stages of the pipeline have."""
        for layer in range(self.config.depth):
            if layer not in self._layers:
                self.blocks[layer] = nn.Identity()
        if not self.pipeline.first:
            self.positions.added = nn.Identity()
            if not (self.pipeline.last and self.shares_embedding):
                self.embedding = cast(nn.Embedding, nn.Identity())
        if not self.pipeline.last:
            self.readout = cast(Readout, nn.Identity())

    def layers(self) -> Iterable[tuple[int, nn.Module]]:
        return ((layer, self.blocks[layer]) for layer in self._layers)

    def compiled_parts(self) -> list[nn.Module]:
        parts = [self.blocks[layer] for layer in self._layers]
        return [*parts, self.readout] if self.pipeline.last else parts

    def parameter_count(self) -> int:
        return self._count

    def losses(
        self,
        tokens: Tensor,
        targets: Tensor,
        *,
        documents: Tensor | None = None,
        implementation: Implementation = "sdpa",
        reports: list[RouterReport] | None = None,
        recompute: Recompute = "nothing",
        z_loss: float = 0.0,
    ) -> Tensor:
        B, T = tokens.shape
        check_length(T, self.config.context)
        short = max(0, self._shortest - T)
        if short:  # what follows a text changes nothing of it
            tokens, targets = F.pad(tokens, (0, short)), F.pad(targets, (0, short))
            documents = None if documents is None else F.pad(documents, (0, short), value=-1)
        documents = None if documents is None else numbered(documents)
        positions, own, ring = places(documents, T + short, tokens.device), None, None
        if self._context.size > 1:
            ring = Ring(self._context, T + short, documents)
            own = ring.own(tokens.device)
            tokens, targets, positions = tokens[:, own], targets[:, own], positions[..., own]
        self._tensor.rows = tokens.shape[1]
        x = self._below(tokens.contiguous(), positions)
        x = self.through(
            x,
            positions,
            documents=documents if ring is None else None,
            cache=cast(Cache | None, ring),  # all of one that these mixers use
            implementation=implementation,
            reports=reports,
            recompute=recompute == "blocks",
        )
        if reports is not None and ring is not None:  # means over this process's positions alone
            share = tokens.shape[1] / (T + short)
            reports[:] = [r._replace(loss=r.loss * share) for r in reports]
        if not self.pipeline.last:
            return self.pipeline.send(x.to(self.residual_dtype(x.device))).expand(B, T)
        hidden, of = self._tensor.gather(x), partial(self._read, z_loss=z_loss)
        targets = targets.contiguous()
        losses = of(hidden, targets) if recompute == "nothing" else in_parts(of, hidden, targets)
        if own is not None:
            losses = losses.new_zeros(B, T + short).index_copy(1, own, losses)
        return losses[:, :T]

    def volume(self, batch: int, tokens: int, dtype: torch.dtype) -> float:
        """Bytes that a process sends in the passes, forward and backward, of a micro-batch of so
        many sequences and tokens, on the average; with even routers, and nothing computed anew.

        dtype: of the residual stream.
        """
        own = tokens / self._context.size
        stream = batch * own * self.config.width * dtype.itemsize
        pipeline, tensor = self.pipeline, self._tensor.group
        sent = (2 - pipeline.first - pipeline.last) * stream / tensor.size
        sent += 8 * tensor.ring * stream * len(self._layers)
        if pipeline.first:
            sent += (
                2 * tensor.ring * stream * 4 / dtype.itemsize
            )  # the embedding's sums are float32
        if pipeline.last:
            sent += 2 * tensor.ring * (stream + 3 * batch * own * 4)
        for layer in self._layers:
            attention, mlp = self.config.attention_of(layer), self.config.mlp_of(layer)
            if isinstance(attention, GroupedQuery):
                numbers = 2 * attention.kv_heads // tensor.size * attention.head_width
                sent += ring_volume(batch * own * numbers, self._context.size, dtype)
            if isinstance(mlp, MoE):
                sent += 4 * mlp.active * self._experts.ring * stream
        return sent

    def _below(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """The residual stream before the first block of this process: [B, T_r, D]."""
        if self.pipeline.first:
            return self.embed(tokens, positions)
        group = self._tensor.group
        first, last = bounds(self._tensor.rows, group.size, group.rank)
        shape = (len(tokens), last - first, self.config.width)
        return self.pipeline.receive(shape, self.residual_dtype(tokens.device), tokens.device)

    def _read(self, hidden: Tensor, targets: Tensor, z_loss: float) -> Tensor:
        if self._tensor.group.size == 1:
            return self.readout(hidden, targets, z_loss)
        return self._tensor.losses(self.readout(hidden), targets, z_loss)
