"""Cross-entropy of a linear layer's outputs, of which only some rows' are held at a time.

With logits l = W · h, capped as c · tanh(l / c) where asked for, and z = log Σ exp(l),

    loss = z − l[target] + ζ · z²        dloss/dl = (1 + 2 · ζ · z) · exp(l − z) − onehot(target)

Logits are the largest tensor of a training: for 16,384 tokens of a vocabulary of 128,000 they take
4.2 GB in bfloat16, as much again for their gradient, and twice that for a copy in float32. Here
rows go by in chunks (as in Liger-Kernel, Hsu et al. 2024, section 3.2). Forward, a product gives a
chunk's logits, and a kernel reads them once and keeps a loss and z of each row. Backward computes
the logits anew, and a kernel overwrites them with their gradient, of which two products make those
of h and W. So losses may have any upstream gradients, and what is held besides h, W and their
gradients is one chunk of logits: 0.5 GB for 2,048 rows. The weight's gradient is summed over the
chunks in float32, each chunk's part having been rounded to the weight's format.

The mean of all losses has one upstream gradient, a factor of the whole. So a chunk's gradients are
computed along with its losses, and its logits once; backward multiplies by the factor.

Products are 2 · N · D · V FLOPs forward and 6 · N · D · V backward, 2 of them for the logits again,
which the mean saves. The kernels move 2 bytes for each logit forward and 4 backward, in bfloat16.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.kernels.cpu.call import first_order, need
from groundup.kernels.launch import Impl, as_autocast, check_device, jit, power_of_two, tl

# Logits that a program, which has one row, holds at a time, and its warps; forward and backward.
# Measured on an H200 with bfloat16 (docs/benchmarks/kernels.md).
_FORWARD, _BACKWARD = (8192, 8), (8192, 16)


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    z_loss: float = 0.0,
    softcap: float | None = None,
    ignored: int = -100,
    reduction: Literal["none", "mean"] = "none",
    chunk: int = 2048,
    impl: Impl,
) -> Tensor:
    """Negative log-likelihood of each target in nats, float32 [N]; or their mean, a scalar.

    hidden: [N, D]; weight: [V, D]; targets: integers [N]. z_loss: ζ, a factor of log²(Z) that is
    added (Chowdhery et al. 2022, PaLM, section 5). softcap: c (Gemma 2). ignored: a target whose
    loss and gradients are zero; of another that is none of V the kernel's loss is NaN.
    reduction: "mean" is over those targets that are not ignored, and the faster one to train by.
    chunk: rows whose logits are held at a time. The reference holds all.
    Under autocast products are in autocast's format.

    Raises `InputError` where `impl` cannot run on hidden's device.
    """
    check_device(impl, hidden)
    fits = hidden.shape[1:] == weight.shape[1:] and hidden.shape[:1] == targets.shape
    need(fits, f"hidden {hidden.shape}, weight {weight.shape} and targets {targets.shape}")
    hidden, weight = as_autocast(hidden, weight)
    rules = (z_loss, softcap, ignored)
    if impl == "reference":
        losses = _reference(hidden, weight, targets, *rules)
        return losses if reduction == "none" else losses.sum() / _count(targets, ignored)
    if reduction == "mean":
        learns = torch.is_grad_enabled()  # which it is in no function's forward pass
        return _MeanLinearCrossEntropy.apply(hidden, weight, targets, *rules, chunk, learns)
    return _LinearCrossEntropy.apply(hidden, weight, targets, *rules, chunk)


def _count(targets: Tensor, ignored: int) -> Tensor:
    return (targets != ignored).sum()


def _reference(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    z_loss: float,
    softcap: float | None,
    ignored: int,
) -> Tensor:
    logits = F.linear(hidden, weight).float()
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    losses = F.cross_entropy(logits, targets, reduction="none", ignore_index=ignored)
    penalty = z_loss * logits.logsumexp(-1).square()
    return losses + penalty.masked_fill(targets == ignored, 0.0)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        z_loss: float,
        softcap: float | None,
        ignored: int,
        chunk: int,
    ) -> Tensor:
        targets = targets.contiguous()
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        log_sums = torch.empty_like(losses)
        ctx.options, ctx.chunk = (z_loss, softcap or 1.0, ignored, softcap is not None), chunk
        for rows in _chunks(len(hidden), chunk):
            logits = hidden[rows] @ weight.T
            _launch(
                _losses, _FORWARD, ctx.options, logits, targets[rows], losses[rows], log_sums[rows]
            )
        ctx.save_for_backward(hidden, weight, targets, log_sums)
        return losses

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, targets, log_sums = ctx.saved_tensors
        dlosses = grads[0].contiguous()
        of_hidden, of_weight, *_ = ctx.needs_input_grad
        gradients = _Gradients(hidden, weight, of_hidden, of_weight)
        for rows in _chunks(len(hidden), ctx.chunk):
            logits = hidden[rows] @ weight.T
            of_rows = (targets[rows], dlosses[rows], log_sums[rows])
            _launch(_gradients, _BACKWARD, ctx.options, logits, *of_rows)
            gradients.add(rows, logits)
        dweight = gradients.of_weight
        if dweight is not None:
            dweight = dweight.to(weight.dtype)
        return gradients.of_hidden, dweight, None, None, None, None, None


class _MeanLinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        z_loss: float,
        softcap: float | None,
        ignored: int,
        chunk: int,
        learns: bool,
    ) -> Tensor:
        targets, count = targets.contiguous(), _count(targets, ignored)
        losses, log_sums, shares = torch.empty(
            3, len(hidden), dtype=torch.float32, device=hidden.device
        )
        # In float16 a loss's share of a mean over many might vanish, and a sum over a chunk of
        # whole losses not fit: so gradients are those of a chunk's mean.
        together = max(1, min(chunk, len(hidden)))
        shares.fill_(1 / together)
        options = (z_loss, softcap or 1.0, ignored, softcap is not None)
        of_hidden, of_weight = (learns and needed for needed in ctx.needs_input_grad[:2])
        gradients = _Gradients(hidden, weight, of_hidden, of_weight)
        for rows in _chunks(len(hidden), chunk):
            logits = hidden[rows] @ weight.T
            _launch(_losses, _FORWARD, options, logits, targets[rows], losses[rows], log_sums[rows])
            if not (of_hidden or of_weight):
                continue
            of_rows = (targets[rows], shares[rows], log_sums[rows])
            _launch(_gradients, _BACKWARD, options, logits, *of_rows)
            gradients.add(rows, logits)
        ctx.save_for_backward(gradients.of_hidden, gradients.of_weight, count)
        ctx.format, ctx.together = weight.dtype, together
        return losses.sum() / count

    @staticmethod
    @first_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        dhidden, dweight, count = ctx.saved_tensors
        factor = grads[0] * (ctx.together / count)  # float32, to which dhidden must be brought
        if dhidden is not None:
            dhidden = (dhidden.float() * factor).to(dhidden.dtype)
        if dweight is not None:  # without a second one of its size in between
            dweight = torch.mul(dweight, factor, out=torch.empty_like(dweight, dtype=ctx.format))
        return dhidden, dweight, None, None, None, None, None, None


class _Gradients:
    """Those of h, and of W in float32, which sums those of chunks; None where none is asked for."""

    def __init__(self, hidden: Tensor, weight: Tensor, of_hidden: bool, of_weight: bool):
        self._hidden, self._weight = hidden, weight
        self.of_hidden = torch.empty_like(hidden) if of_hidden else None
        self.of_weight = torch.zeros_like(weight, dtype=torch.float32) if of_weight else None

    def add(self, rows: slice, dlogits: Tensor) -> None:
        """What a chunk's gradients of the logits give."""
        if self.of_hidden is not None:
            self.of_hidden[rows] = dlogits @ self._weight
        if self.of_weight is not None:
            self.of_weight += dlogits.T @ self._hidden[rows]


def _chunks(rows: int, chunk: int) -> Iterator[slice]:
    return (slice(begin, begin + chunk) for begin in range(0, rows, chunk))


def _launch(
    kernel: Any,
    size: tuple[int, int],
    options: tuple[float, float, int, bool],
    logits: Tensor,
    *rows: Tensor,
) -> None:
    """A program for each row of logits; rows: [N] each."""
    z_loss, softcap, ignored, capped = options
    block, warps = size
    vocabulary = logits.shape[1]
    kernel[(len(logits),)](
        logits,
        *rows,
        z_loss,
        softcap,
        ignored,
        V=vocabulary,
        CAPPED=capped,
        BLOCK=min(block, power_of_two(vocabulary)),
        num_warps=warps,
    )


@jit
def _losses(
    LOGITS, TARGETS, LOSSES, LOG_SUMS, z_loss, softcap, ignored,
    V: tl.constexpr, CAPPED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The sum of exponentials is kept relative to the largest logit so far (Milakov and Gimelshein
    2018, algorithm 3), so that logits are read once."""
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(TARGETS + row)
    logits = LOGITS + row * V
    largest = tl.full((), float("-inf"), tl.float32)
    total = tl.zeros((), tl.float32)
    for start in range(0, V, BLOCK):
        column = start + tl.arange(0, BLOCK)
        block = tl.load(logits + column, column < V, other=float("-inf")).to(tl.float32)
        if CAPPED:
            block = tl.where(column < V, softcap * _tanh(block / softcap), float("-inf"))
        larger = tl.maximum(largest, tl.max(block, 0))
        total = total * tl.exp(largest - larger) + tl.sum(tl.exp(block - larger), 0)
        largest = larger
    log_sum = largest + tl.log(total)
    known = (target >= 0) & (target < V)
    hit = tl.load(logits + target, known, other=float("nan")).to(tl.float32)
    if CAPPED:
        hit = softcap * _tanh(hit / softcap)
    loss = log_sum - hit + z_loss * log_sum * log_sum
    tl.store(LOSSES + row, tl.where(target == ignored, 0.0, loss))
    tl.store(LOG_SUMS + row, log_sum)


@jit
def _gradients(
    LOGITS, TARGETS, DLOSSES, LOG_SUMS, z_loss, softcap, ignored,
    V: tl.constexpr, CAPPED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Overwrites the logits with their gradient."""
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(TARGETS + row)
    log_sum = tl.load(LOG_SUMS + row)
    dloss = tl.where(target == ignored, 0.0, tl.load(DLOSSES + row))
    for start in range(0, V, BLOCK):
        column = start + tl.arange(0, BLOCK)
        place = LOGITS + row * V + column
        block = tl.load(place, column < V, other=0.0).to(tl.float32)
        slope = 1.0
        if CAPPED:
            share = _tanh(block / softcap)
            block, slope = softcap * share, 1 - share * share
        softmax = tl.exp(block - log_sum)
        grad = (1 + 2 * z_loss * log_sum) * softmax - tl.where(column == target, 1.0, 0.0)
        tl.store(place, (dloss * grad * slope).to(LOGITS.dtype.element_ty), column < V)


@jit
def _tanh(x):
    """By an exponential that cannot overflow."""
    small = tl.exp(-2 * tl.abs(x))
    size = (1 - small) / (1 + small)
    return tl.where(x < 0, -size, size)
