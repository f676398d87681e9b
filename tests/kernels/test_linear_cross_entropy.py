"""Cross-entropy in chunks against float64, under Triton's interpreter or on a GPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, ON_GPU, check, normal, with_gradients
from torch import Tensor
from torch.nn import functional as F

from groundup.core.errors import InputError

pytest.importorskip("triton")
from groundup.kernels import linear_cross_entropy as kernel
from groundup.kernels.linear_cross_entropy import linear_cross_entropy

IGNORED = -100


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a row of few logits has several."""
    monkeypatch.setattr(kernel, "_FORWARD", (16, 4))
    monkeypatch.setattr(kernel, "_BACKWARD", (16, 4))


def inputs(rows: int, width: int, vocabulary: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Hidden states, a weight whose logits deviate by 2, and targets, the second ignored."""
    hidden = normal((rows, width), dtype)
    weight = 2 * width**-0.5 * normal((vocabulary, width), dtype, seed=1)
    generator = torch.Generator().manual_seed(2)
    targets = torch.randint(vocabulary, (rows,), generator=generator)
    targets[1:2] = IGNORED
    return hidden, weight, targets.to(DEVICE)


def formula(
    targets: Tensor, z_loss: float = 0.0, softcap: float | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    def losses(hidden: Tensor, weight: Tensor) -> Tensor:
        logits = hidden @ weight.T
        logits = logits if logits.dtype == torch.float64 else logits.float()
        if softcap is not None:
            logits = softcap * torch.tanh(logits / softcap)
        losses = F.cross_entropy(logits, targets, reduction="none", ignore_index=IGNORED)
        return losses + z_loss * logits.logsumexp(-1).square() * (targets != IGNORED)

    return losses


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("z_loss", "softcap"), [(0.0, None), (0.1, None), (0.01, 3.0)])
@pytest.mark.parametrize(("rows", "width", "vocabulary"), [(7, 24, 16), (10, 33, 61)])
@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_it_is_as_exact_as_torch(
    rows: int,
    width: int,
    vocabulary: int,
    z_loss: float,
    softcap: float | None,
    dtype: torch.dtype,
    impl: Any,
) -> None:
    """Losses and gradients, of upstream gradients that differ from row to row."""
    hidden, weight, targets = inputs(rows, width, vocabulary, dtype)
    check(
        lambda h, w: linear_cross_entropy(
            h, w, targets, z_loss=z_loss, softcap=softcap, chunk=4, impl=impl
        ),
        formula(targets, z_loss, softcap),
        hidden,
        weight,
        slack=1.5,  # each chunk's part of the weight's gradient is rounded to its format
    )


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("z_loss", "softcap"), [(0.0, None), (0.01, 3.0)])
@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_the_mean(z_loss: float, softcap: float | None, dtype: torch.dtype, impl: Any) -> None:
    """Over nine targets of ten, times a factor, as the gradient of a larger formula has one."""
    hidden, weight, targets = inputs(10, 33, 61, dtype)
    rules = {"z_loss": z_loss, "softcap": softcap}

    def mean(h: Tensor, w: Tensor) -> Tensor:
        return 3 * linear_cross_entropy(
            h, w, targets, **rules, reduction="mean", chunk=4, impl=impl
        )

    of_rows = formula(targets, z_loss, softcap)
    check(mean, lambda h, w: 3 * of_rows(h, w).sum() / 9, hidden, weight, slack=1.5)
    with torch.no_grad():  # alone, and with the gradient of one of both
        alone = mean(hidden.requires_grad_(), weight)
    grad = torch.autograd.grad(mean(hidden, weight.detach()), hidden)[0]
    both = mean(hidden, weight.requires_grad_())
    assert torch.equal(alone, both)
    assert torch.equal(grad, torch.autograd.grad(both, hidden)[0])


@pytest.mark.parametrize("chunk", [1, 3, 6, 100])
def test_chunks_of_any_size_give_the_same(chunk: int) -> None:
    hidden, weight, targets = inputs(6, 8, 20, torch.float32)
    check(
        lambda h, w: linear_cross_entropy(h, w, targets, chunk=chunk, impl="triton"),
        formula(targets),
        hidden,
        weight,
    )


def test_no_more_logits_are_held_than_a_chunk_s(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, targets = inputs(9, 8, 20, torch.float32)
    launch, seen = kernel._launch, []

    def watched(one: Any, size: Any, options: Any, logits: Tensor, *rows: Tensor) -> None:
        seen.append(tuple(logits.shape))
        launch(one, size, options, logits, *rows)

    monkeypatch.setattr(kernel, "_launch", watched)
    with_gradients(
        lambda h, w: linear_cross_entropy(h, w, targets, chunk=4, impl="triton"),
        [hidden, weight],
        torch.ones(9, device=DEVICE),
    )
    assert seen == 2 * [(4, 20), (4, 20), (1, 20)]


@pytest.mark.parametrize("scale", [1e3, 1e-3])
def test_large_and_small_logits(scale: float) -> None:
    hidden, weight, targets = inputs(5, 8, 40, torch.float32)
    check(
        lambda h, w: linear_cross_entropy(h, w, targets, z_loss=1e-4, softcap=30.0, impl="triton"),
        formula(targets, 1e-4, 30.0),
        hidden * scale,
        weight,
        slack=4.0,
    )


def test_an_ignored_row_adds_nothing_and_another_unknown_target_is_nan() -> None:
    hidden, weight, targets = inputs(4, 8, 20, torch.float32)
    targets[2:] = torch.tensor([20, -1])
    losses, dhidden, _ = with_gradients(
        lambda h, w: linear_cross_entropy(h, w, targets, z_loss=0.1, impl="triton"),
        [hidden, weight],
        torch.ones(4, device=DEVICE),
    )
    assert losses.isnan().tolist() == [False, False, True, True]
    assert losses[1] == 0
    assert not dhidden[1].any()


def test_a_frozen_weight_gets_no_gradient() -> None:
    hidden, weight, targets = inputs(4, 8, 20, torch.float32)
    linear_cross_entropy(hidden.requires_grad_(), weight, targets, impl="triton").sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None


def test_strides_do_not_matter() -> None:
    hidden, weight, targets = inputs(6, 8, 20, torch.float32)
    every_second = targets.repeat_interleave(2)[::2]
    check(
        lambda h, w: linear_cross_entropy(h.T, w.T, every_second, chunk=4, impl="triton"),
        lambda h, w: formula(targets)(h.T, w.T),
        hidden.T.contiguous(),
        weight.T.contiguous(),
    )


def test_of_nothing_comes_nothing() -> None:
    hidden, weight, targets = inputs(0, 8, 20, torch.float32)
    losses, _, dweight = with_gradients(
        lambda h, w: linear_cross_entropy(h, w, targets, impl="triton"),
        [hidden, weight],
        torch.ones(0, device=DEVICE),
    )
    assert losses.shape == (0,)
    assert not dweight.any()


@pytest.mark.parametrize("impl", ["reference", "triton"])
def test_autocast_computes_in_its_format(impl: Any) -> None:
    hidden, weight, targets = inputs(6, 8, 20, torch.float32)
    hidden.requires_grad_()
    with torch.autocast(DEVICE, torch.bfloat16):
        losses = linear_cross_entropy(hidden, weight, targets, impl=impl)
    losses.sum().backward()  # beyond autocast, where the logits are computed again
    narrow = linear_cross_entropy(hidden.bfloat16(), weight.bfloat16(), targets, impl=impl)
    assert torch.equal(losses, narrow)
    (grad,) = torch.autograd.grad(narrow.sum(), hidden)
    torch.testing.assert_close(hidden.grad, grad, rtol=0, atol=0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    hidden, weight, targets = inputs(4, 8, 20, torch.float32)
    for wrong in [(hidden[:3], weight, targets), (hidden, weight[:, :7], targets)]:
        with pytest.raises(ValueError, match="hidden .*, weight .* and targets"):
            linear_cross_entropy(*wrong, impl="triton")


@pytest.mark.skipif(ON_GPU, reason="a GPU can run it")
def test_a_kernel_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(InputError, match="impl='triton' needs a GPU, and the tensors are on cpu"):
        linear_cross_entropy(*inputs(2, 3, 4, torch.float32), impl="triton")
