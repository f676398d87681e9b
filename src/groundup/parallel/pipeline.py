"""Pipeline parallelism: every process has some blocks, and micro-batches flow through them (Huang
et al. 2019, "GPipe", section 2).

    stage 0    F0 F1 F2 F3 .. .. .. .. B0 B1 B2 B3        "gpipe": all forward, all backward

    stage 0    F0 F1 F2 .. .. B0 F3 B1 .. B2 .. B3        "1f1b": a backward as soon as one can be
    stage 1       F0 F1 .. B0 F2 B1 F3 B2 .. B3           (Narayanan et al. 2019, "PipeDream",
    stage 2          F0 B0 F1 B1 F2 B2 F3 B3              section 3.2; flushed after each step)

Of p stages and m micro-batches either takes as long as m + p − 1 passes of a stage: (p − 1)/m of
the work is lost to waiting. "1f1b" holds the activations of p − s micro-batches at most in stage s,
where "gpipe" holds all m.

A stage sends the residual stream to the next one, and that one sends its gradient back: for n bytes
of it, n each way for each micro-batch.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from groundup.core.errors import InputError
from groundup.core.processes import Group, Wait
from groundup.models import Decoder
from groundup.parallel.exchange import Order

Schedule = Literal["1f1b", "gpipe"]


def blocks_of(config: Decoder, stages: int, stage: int) -> range:
    """The blocks of a stage: of all ways to cut, one whose longest stage is shortest, by FLOPs; the
    last one has the head, too. A block that borrows keys and values stays with the one below.

    Raises `InputError` where there are fewer blocks than stages.
    """
    ends = [end for end in range(1, config.depth) if not config.borrows(end)]
    ends.append(config.depth)
    if len(ends) < stages:
        raise InputError(
            f"pipeline={stages} is more than the {len(ends)} parts that the model's "
            f"{config.depth} blocks can be cut into: choose a smaller number."
        )
    before = [0, *itertools.accumulate(_flops(config, layer) for layer in range(config.depth))]
    before[-1] += 2 * config.context * config.width * config.vocab_size
    # By the end of the blocks below: the longest stage's FLOPs of the best cuts, and where those
    # are. Of equal ones the first stages have fewest, as they hold most activations.
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, (0,))}
    for number in range(stages):
        left = stages - 1 - number  # each of these needs an end, too
        best = {
            end: min(
                (max(longest, before[end] - before[begin]), (*cuts, end))
                for begin, (longest, cuts) in best.items()
                if begin < end
            )
            for end in ends[number : len(ends) - left]
        }
    _, cuts = best[config.depth]
    return range(cuts[stage], cuts[stage + 1])


def _flops(config: Decoder, layer: int) -> int:
    """Of a block, in a forward pass over one sequence."""
    attention, mlp = config.attention_of(layer), config.mlp_of(layer)
    matrices = attention.matrix_parameters(config.width)
    matrices += 0 if mlp is None else mlp.matrix_parameters(config.width)
    return 2 * config.context * matrices + attention.mixing_flops(config.context, causal=True)


class Pipeline:
    """This process's place between the stage before it and the one after it.

    group: the stages. back: they again; gradients go through it, so that on a GPU, where what goes
    through a group waits in a row, two neighbours can send to each other.
    """

    def __init__(self, group: Group, back: Group, schedule: Schedule):
        self.group, self._back = group, back
        self.first = group.rank == 0
        self.last = group.rank == group.size - 1
        self._schedule = schedule
        self._sent: list[tuple[Wait, Tensor]] = []  # what may not have arrived

    def order(self, micro_batches: int) -> Order:
        """The passes of a step, in this process's order."""
        self._arrive()
        ahead = micro_batches
        if self._schedule == "1f1b":
            ahead = min(micro_batches, self.group.size - self.group.rank)
        for index in range(micro_batches + ahead):
            if index >= ahead:
                yield "backward", index - ahead
            if index < micro_batches:
                yield "forward", index

    def receive(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """What the stage before sends; backward, it is given the gradient."""
        begin = torch.zeros((), device=device, requires_grad=True)  # of the graph
        return _Receive.apply(begin, self, shape, dtype)

    def send(self, x: Tensor) -> Tensor:
        """Give x to the next stage. Returns zero, whose backward pass begins with the gradient
        that the next stage sends, whatever its own is."""
        begin = torch.zeros((), device=x.device, requires_grad=True)  # all of x may be frozen
        zero = _Send.apply(begin, x, self)
        if not torch.is_grad_enabled():
            self._arrive()
        return zero

    def give(self, x: Tensor, *, back: bool = False) -> None:
        """Begin to send to the next stage; back: to the one before."""
        x = x.contiguous()
        group, to = (self._back, -1) if back else (self.group, 1)
        self._sent.append((group.send(x, group.rank + to), x))
        while len(self._sent) > 2 * group.size:  # it arrived long ago
            self._sent.pop(0)[0]()

    def take(self, like: Tensor, *, back: bool = False) -> Tensor:
        """`like` becomes what the stage before gives; back: the next one."""
        group, source = (self._back, 1) if back else (self.group, -1)
        group.receive(like, group.rank + source)()
        return like

    def _arrive(self) -> None:
        """Until everything that was sent has arrived."""
        for wait, _ in self._sent:
            wait()
        self._sent.clear()


class _Receive(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, begin: Tensor, pipeline: Pipeline, shape: Sequence[int], dtype: torch.dtype
    ) -> Tensor:
        ctx.pipeline = pipeline
        return pipeline.take(begin.new_empty(shape, dtype=dtype))

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[None, ...]:
        ctx.pipeline.give(dy[0], back=True)
        return None, None, None, None


class _Send(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, begin: Tensor, x: Tensor, pipeline: Pipeline) -> Tensor:
        ctx.pipeline, ctx.shape = pipeline, x.shape
        ctx.like = x.new_empty(())
        pipeline.give(x)
        return begin.detach().clone()

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[None, Tensor, None]:  # noqa: ARG004
        return None, ctx.pipeline.take(ctx.like.new_empty(ctx.shape), back=True), None
