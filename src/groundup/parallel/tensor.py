"""Tensor parallelism (Shoeybi et al. 2019, "Megatron-LM", section 3) with sequence parallelism
(Korthikanti et al. 2022, "Reducing activation recomputation in large transformer models", section
4.2.2): every process has some heads of each attention, some units of each MLP, some rows of the
embedding and of the head.

    rows of x ──gather──► x ──own heads──► what they add ──sums of rows──► rows of the branch's sum

Between the branches a process has some positions of the residual stream alone: norms, dropout and
additions are computed once, not in every process. A branch is a gathering and a sum of rows,
forward and backward: for n bytes of activations a process sends

    8 · (N − 1)/N · n        bytes for each block and micro-batch,

which nothing hides. Weights that a process has whole (norms, routers, biases of sums) see a part of
the positions or heads in each, so that their gradients are summed over the processes.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.core.errors import InputError
from groundup.core.processes import Group
from groundup.core.regions import bounds
from groundup.layers import GroupedQuery, Latent, MoE
from groundup.layers.alibi import LinearBias
from groundup.layers.alibi import slopes as slopes_of
from groundup.layers.moe import MixtureOfExperts
from groundup.models import Decoder, DecoderModel
from groundup.models.block import Block, PositionView
from groundup.models.decoder import Mixer, Network, as_tuple
from groundup.parallel.collectives import gather_rows, scaled_gradient, scatter_row_sums
from groundup.parallel.hooks import eager


def narrow(config: Decoder, size: int, rank: int) -> Decoder:
    """A decoder of one process's heads, units and words.

    Raises `InputError` where they do not divide.
    """
    if size == 1:
        return config
    if config.vocab_size < size:
        raise InputError(f"tensor={size} is more than the vocabulary of {config.vocab_size}.")
    first, last = bounds(config.vocab_size, size, rank)
    mlps = tuple(network and _narrow_mlp(network, size) for network in as_tuple(config.mlp))
    return replace(
        config,
        vocab_size=last - first,
        attention=tuple(_narrow_attention(mixer, size) for mixer in as_tuple(config.attention)),
        mlp=None if config.mlp is None else mlps,
    )


def _narrow_attention(mixer: Mixer, size: int) -> Mixer:
    if isinstance(mixer, GroupedQuery):
        _check(size, heads=mixer.heads, kv_heads=mixer.kv_heads)
        return replace(mixer, heads=mixer.heads // size, kv_heads=mixer.kv_heads // size)
    if isinstance(mixer, Latent):
        _check(size, heads=mixer.heads)
        return replace(mixer, heads=mixer.heads // size)
    raise InputError(
        f"tensor parallelism divides GroupedQuery and Latent attention, and not "
        f"{type(mixer).__name__}: leave tensor at 1."
    )


def _narrow_mlp(network: Network, size: int) -> Network:
    _check(size, hidden=network.hidden)
    if isinstance(network, MoE):
        _check(size, shared=network.shared)
        return replace(network, hidden=network.hidden // size, shared=network.shared // size)
    return replace(network, hidden=network.hidden // size)


def _check(size: int, **counts: int) -> None:
    for name, count in counts.items():
        if count % size:
            raise InputError(
                f"tensor={size} does not divide {name}={count}: choose a size that does."
            )
        if count == size and "heads" not in name:  # a matrix of one row is a vector to optimizers
            raise InputError(
                f"tensor={size} leaves one unit of {name}={count}: choose a smaller size."
            )


class TensorParallel:
    """What is around the modules of a decoder of `narrow`'s. rows: how many positions the sequence
    has that is computed, which every pass sets."""

    def __init__(self, group: Group, config: Decoder):
        """config: of the whole decoder."""
        self.group = group
        self.rows = 0
        self._config = config
        self._words = bounds(config.vocab_size, group.size, group.rank)

    def install(self, model: DecoderModel) -> None:
        if isinstance(model.embedding, nn.Embedding):
            table = model.embedding
            table.forward = lambda input: self._embed(input, table.weight)
            model.positions.added.register_forward_hook(eager(self._own_rows))
        for view in model.positions.views:
            assert isinstance(view, PositionView)
            if isinstance(view.bias, LinearBias):
                own = len(view.bias.slopes)
                first = own * self.group.rank
                view.bias.slopes = slopes_of(own * self.group.size)[first : first + own]
        for block in model.blocks:
            if isinstance(block, Block):
                for branch in (block.attention, block.mlp):
                    if branch is not None:
                        branch.register_forward_pre_hook(eager(self._gather))
                        branch.register_forward_hook(eager(_Sum(self.group, branch)))

    def gather(self, x: Tensor) -> Tensor:
        """Some positions of the residual stream [B, T_r, D] → all of them, [B, T, D]."""
        return gather_rows(x, self.group, self.rows)

    def losses(self, logits: Tensor, targets: Tensor, z_loss: float) -> Tensor:
        """As `models.block.cross_entropies`, of the logits of this process's words.

        logits: [B, T, V_r]; targets: integers [B, T] → float32 [B, T], in every process.
        """
        return _CrossEntropies.apply(logits, targets, z_loss, self.group, self._words)

    def _embed(self, tokens: Tensor, weight: Tensor) -> Tensor:
        """The sums over the processes, of which one has the token's row."""
        first, last = self._words
        inside = (tokens >= first) & (tokens < last)
        x = F.embedding(torch.where(inside, tokens - first, 0), weight)
        return scatter_row_sums(x * inside[..., None], self.group)

    def _own_rows(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:  # noqa: ARG002
        if isinstance(module, nn.Identity):
            return output
        first, last = bounds(self.rows, self.group.size, self.group.rank)
        return output[..., first:last, :]

    def _gather(self, module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:  # noqa: ARG002
        return (self.gather(inputs[0]),)


class _Sum:
    """A hook behind a branch: the sums over the processes of this one's positions. What the last
    matrix adds to its products is added to the sums, once."""

    def __init__(self, group: Group, branch: nn.Module):
        self._group = group
        last = getattr(branch, "output", None) or getattr(branch, "down", None)
        self._biased = last if isinstance(last, nn.Linear) and last.bias is not None else None
        if self._biased is not None:
            linear = self._biased
            linear.forward = lambda input: F.linear(input, linear.weight)

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:  # noqa: ARG002
        y, *more = output if isinstance(output, tuple) else (output,)
        y = scatter_row_sums(y, self._group)
        if self._biased is not None:
            y = y + self._biased.bias.to(y.dtype)
        if isinstance(module, MixtureOfExperts):  # all processes compute its loss
            (report,) = more
            more = [report._replace(loss=scaled_gradient(report.loss, 1 / self._group.size))]
        return (y, *more) if more else y


class _CrossEntropies(torch.autograd.Function):
    """log Σ exp(logits) − the target's logit, where each process has the logits of some words: the
    largest logit, the sum and the target's logit go round, three numbers a token."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        targets: Tensor,
        z_loss: float,
        group: Group,
        words: tuple[int, int],
    ) -> Tensor:
        first, last = words
        exact = logits.float()
        largest = exact.amax(-1)
        group.largest(largest)()
        powers = (exact - largest[..., None]).exp_()
        inside = (targets >= first) & (targets < last)
        place = torch.where(inside, targets - first, 0)[..., None]
        of_target = exact.gather(-1, place)[..., 0] * inside
        both = torch.stack((powers.sum(-1), of_target))
        group.sum(both)()
        sums, of_target = both
        log_sum = sums.log() + largest
        ctx.save_for_backward(powers.div_(sums[..., None]), place, inside, log_sum)
        ctx.z_loss, ctx.dtype = z_loss, logits.dtype
        return log_sum - of_target + z_loss * log_sum.square()

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor, None, None, None, None]:
        softmax, place, inside, log_sum = ctx.saved_tensors
        gradient = softmax * (1 + 2 * ctx.z_loss * log_sum)[..., None]
        gradient.scatter_add_(-1, place, -inside[..., None].to(gradient.dtype))
        return (gradient * dy[0][..., None]).to(ctx.dtype), None, None, None, None
