"""Loss scaling finds the largest factor that fits, and training in float16 follows float32."""

import torch

from groundup.core.device import Device
from groundup.models import LanguageModel
from groundup.optim import AdamW, Schedule
from groundup.scaling.plan import decoder_of_size
from groundup.train import Training, steps
from groundup.train.loss_scale import LossScale


def test_the_factor_is_halved_at_an_overflow_and_doubled_after_patience() -> None:
    scale = LossScale(factor=8.0, patience=2)
    assert scale.overflowed(float("inf"))
    assert scale.factor == 4
    assert not scale.overflowed(1.0)
    assert not scale.overflowed(1.0)
    assert scale.factor == 8
    again = LossScale(factor=1.0, patience=2)
    again.load(scale.state())
    assert again == scale


def test_formats_that_need_none_have_none() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        scale = LossScale.of(dtype)
        weight = torch.ones(2, requires_grad=True)
        weight.grad = torch.ones(2)
        scale.undo([weight])
        assert torch.equal(weight.grad, torch.ones(2))
        assert not scale.overflowed(float("nan"))  # that is the guard's
        assert scale.factor == 1


def trained(
    dtype: torch.dtype, factor: float | None = None
) -> tuple[Training[LanguageModel], list]:
    model: LanguageModel = decoder_of_size(1, 32, context=16).build(0)
    training = Training(
        model=model,
        optimizer=AdamW(lr=0.01).build(dict(model.named_parameters())),
        schedule=Schedule(kind="constant", warmup=0.0),
        steps=10,
        device=Device(torch.device("cpu"), dtype),
    )
    if factor:
        training.loss_scale.factor = factor
    tokens = torch.randint(32, (4, 16), generator=torch.Generator().manual_seed(0))
    loss_of = lambda m, batch: (m.losses(batch, batch).mean(), {})  # noqa: E731
    return training, [result.loss for result in steps(training, [[tokens]] * 10, loss_of)]


def test_float16_learns_what_float32_learns() -> None:
    _, expected = trained(torch.float32)
    training, losses = trained(torch.float16)
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected), rtol=0.01, atol=0.01)
    assert training.loss_scale.factor == 2.0**16


def test_an_overflowing_step_changes_nothing_but_the_factor() -> None:
    """From far too large a factor each step halves it, and the loss of the same batch stays."""
    training, losses = trained(torch.float16, factor=2.0**60)
    assert training.loss_scale.factor == 2.0**50
    assert losses == [losses[0]] * 10
