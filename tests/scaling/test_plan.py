"""The planner keeps its rule: C = 6·N·D, D = 20·N, at most four epochs."""

import pytest

from groundup.models import training_flops
from groundup.models.flops import matrix_parameters
from groundup.scaling import plan_pretraining


def tokens_of(plan) -> int:
    p = plan.pretrain
    return p.steps * p.batch * p.accumulation * plan.model.context


@pytest.mark.parametrize("flops", [1e13, 1e15, 1e17, 1e19])
def test_the_flops_are_spent(flops: float) -> None:
    plan = plan_pretraining(flops, vocab_size=8192, unique_tokens=10**12, seed=0)
    context = plan.model.context
    spent = tokens_of(plan) / context * training_flops(plan.model, context)
    assert spent == pytest.approx(flops, rel=0.05)


@pytest.mark.parametrize("flops", [1e15, 1e17, 1e19, 1e21])
def test_without_repetition_there_are_twenty_tokens_a_weight(flops: float) -> None:
    plan = plan_pretraining(flops, vocab_size=8192, unique_tokens=10**13, seed=0)
    ratio = tokens_of(plan) / matrix_parameters(plan.model)
    assert 20 / 2.4**2 < ratio < 20.5  # the ladder's rungs are a factor of up to 2.4 apart


def test_little_text_gives_a_larger_model_and_four_epochs() -> None:
    plan = plan_pretraining(1e17, vocab_size=8192, unique_tokens=10_000_000, seed=0)
    free = plan_pretraining(1e17, vocab_size=8192, unique_tokens=10**12, seed=0)
    assert matrix_parameters(plan.model) > 3 * matrix_parameters(free.model)
    assert tokens_of(plan) / 10_000_000 == pytest.approx(4, rel=0.4)


def test_more_flops_never_give_a_smaller_model() -> None:
    sizes = [
        matrix_parameters(
            plan_pretraining(10.0**exponent, vocab_size=4096, unique_tokens=10**13, seed=0).model
        )
        for exponent in range(12, 23)
    ]
    assert sizes == sorted(sizes)


def test_a_budget_below_one_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="less than one training step"):
        plan_pretraining(1e6, vocab_size=4096, unique_tokens=10**6, seed=0)
