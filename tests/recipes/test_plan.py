"""The plan of the main job: deterministic in FLOPs, within its time in minutes, overridable."""

import dataclasses
import time

import pytest
import torch

from groundup.align.chat import Example
from groundup.core.device import Device
from groundup.core.errors import ConfigError, InputError
from groundup.kernels.cpu import HAS_LOOPS
from groundup.models import training_flops
from groundup.recipes.plan import (
    EVALUATION_SHARE,
    SHARES,
    VALIDATION_SHARE,
    HeldOut,
    Work,
    make_plan,
)
from groundup.recipes.quickstart import Evaluation, Quickstart, TokenizerTraining
from groundup.scaling import parse_budget
from groundup.train.compile import can_compile

CPU = Device(torch.device("cpu"), torch.float32)
CONFIG = Quickstart(tokenizer=TokenizerTraining(vocab_size=300), compile="no")
EXAMPLES = [Example(tokens=[1] * 100, answer=50)] * 2000
HELD_OUT = HeldOut(ends=range(1000, 1_001_000, 1000), bytes=4_000_000)
TEXT = Work(unique_tokens=10_000_000, held_out=HELD_OUT, examples=[], prompts=[])
WORK = dataclasses.replace(TEXT, examples=EXAMPLES, prompts=[[1] * 30] * 50)


def plan_for(budget: str, work: Work = WORK, config: Quickstart = CONFIG):
    config = dataclasses.replace(config, budget=budget)
    return make_plan(config, parse_budget(budget), work, CPU, spent=0.0)


def test_the_same_flops_give_the_same_plan() -> None:
    assert plan_for("1e13") == plan_for("1e13")
    assert (plan_for("1e13").probe, plan_for("1e13").seconds) == (None, None)


def test_flops_are_divided_by_the_shares_and_spent() -> None:
    plan = plan_for("1e14")
    flops = {stage.stage: stage.flops for stage in plan.stages}
    assert flops["pretrain"] == pytest.approx(SHARES["pretrain"] * 1e14, rel=0.02)
    assert flops["grpo"] == pytest.approx(SHARES["grpo"] * 1e14, rel=0.05)
    # Fine-tuning stops at four epochs of 200,000 tokens.
    per_token = training_flops(plan.model, plan.model.context) / plan.model.context
    assert flops["sft"] == pytest.approx(4 * 200_000 * per_token, rel=0.05)


def test_without_examples_pretraining_gets_it_all() -> None:
    plan = plan_for("1e13", TEXT)
    assert (plan.sft, plan.grpo) == (None, None)
    assert [stage.stage for stage in plan.stages] == ["pretrain"]
    assert plan.stages[0].flops == pytest.approx(1e13, rel=0.02)


def test_a_budget_in_time_is_planned_within_its_time() -> None:
    started = time.perf_counter()
    plan = plan_for("60s")
    took = time.perf_counter() - started
    assert plan.probe is not None
    assert plan.seconds is not None
    assert 0.8 * took < plan.seconds <= took
    assert 0 < plan.probe.flops_per_second <= plan.probe.peak_flops_per_second
    training = sum(stage.seconds or 0.0 for stage in plan.stages)
    assert 0 < training < 60 * (1 - EVALUATION_SHARE)


def test_evaluations_read_as_much_text_as_their_share_of_time_pays_for() -> None:
    """Of windows that overlap by half, each token is read twice."""
    text = HeldOut(ends=range(1000, 10**9, 1000), bytes=4 * 10**9)
    config = dataclasses.replace(CONFIG, evaluation=Evaluation(max_bytes=text.bytes))
    plan = plan_for("60s", dataclasses.replace(TEXT, held_out=text), config)
    assert plan.probe is not None
    rate = plan.probe.prediction_tokens_per_second
    tokens = plan.measured_bytes * text.tokens / text.bytes
    assert 2 * tokens / rate == pytest.approx(60 * EVALUATION_SHARE, rel=0.01)
    on_the_way = plan.pretrain.validations * 1000 * plan.pretrain.validation_documents / rate
    assert on_the_way <= plan.pretrain.steps * plan.probe.step_seconds * VALIDATION_SHARE
    assert plan_for("1e13").measured_bytes == CONFIG.evaluation.max_bytes


def test_answers_are_paid_for_before_text() -> None:
    """Without a verifier, too: the answers are then read by people."""
    text = HeldOut(ends=range(1000, 10**9, 1000), bytes=4 * 10**9)
    config = dataclasses.replace(CONFIG, evaluation=Evaluation(max_bytes=text.bytes))
    work = dataclasses.replace(TEXT, examples=EXAMPLES, held_out=text)
    silent, asked = (
        plan_for("60s", dataclasses.replace(work, requests=[[1] * 30] * n), config) for n in (0, 40)
    )
    assert silent.probe
    assert asked.probe
    assert silent.probe.answer_seconds is None
    assert asked.probe.answer_seconds
    seconds = 60 * EVALUATION_SHARE / 2 - 40 * asked.probe.answer_seconds
    bytes_per_second = asked.probe.prediction_tokens_per_second * text.bytes / text.tokens / 2
    assert asked.measured_bytes == pytest.approx(max(seconds * bytes_per_second, 50_000), rel=0.01)


def test_a_long_document_is_measured_less_often() -> None:
    long = HeldOut(ends=[10**9], bytes=4 * 10**9)
    plan = plan_for("60s", dataclasses.replace(TEXT, held_out=long))
    assert (plan.pretrain.validations, plan.pretrain.validation_documents) == (1, 1)


NEEDS_CORE = pytest.mark.skipif(not HAS_LOOPS, reason="the compiled core has no loops here")
GELU = ("model.mlp.activation=gelu",)  # which the compiled core does not fuse


@pytest.mark.parametrize(
    ("budget", "overrides", "why"),
    [
        ("60s", GELU, "too few"),
        pytest.param("60s", (), "core fuses", marks=NEEDS_CORE),
        pytest.param("1e13", (), "core fuses", marks=NEEDS_CORE),
    ],
)
def test_time_is_not_wasted_on_compiling(budget: str, overrides: tuple[str, ...], why: str) -> None:
    config = dataclasses.replace(CONFIG, compile="auto", plan_overrides=overrides)
    plan = plan_for(budget, TEXT, config)
    assert not plan.pretrain.compile
    (reason,) = (reason for reason in plan.reasons if reason.choice == "compiled")
    assert reason.value == "no"
    assert why in reason.because


@pytest.mark.skipif(not can_compile(torch.device("cpu")), reason="there is no C++ compiler")
def test_what_the_core_does_not_fuse_is_compiled_for_a_budget_in_flops() -> None:
    config = dataclasses.replace(CONFIG, compile="auto", plan_overrides=GELU)
    assert plan_for("1e13", TEXT, config).pretrain.compile


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch warns of itself while it compiles
def test_a_plan_that_is_overridden_to_compile_is_measured_so() -> None:
    overrides = ("pretrain.compile=true", "pretrain.batch=2", "model.context=64")
    plan = plan_for(
        "60s",
        TEXT,
        dataclasses.replace(CONFIG, compile="auto", plan_overrides=overrides),
    )
    assert plan.pretrain.compile
    assert not any(reason.choice == "compiled" for reason in plan.reasons)


def test_every_choice_can_be_overridden() -> None:
    overrides = ("model.depth=5", "pretrain.optimizer.matrices.lr=0.5", "sft.steps=7")
    plan = plan_for("1e13", config=dataclasses.replace(CONFIG, plan_overrides=overrides))
    assert plan.sft
    assert (plan.model.depth, plan.pretrain.optimizer.matrices.lr, plan.sft.steps) == (5, 0.5, 7)
    wrong = dataclasses.replace(CONFIG, plan_overrides=("model.dept=5",))
    with pytest.raises(ConfigError, match="did you mean 'model.depth'"):
        plan_for("1e13", config=wrong)


@pytest.mark.parametrize("budget", ["1e7", "1e9", "1s"])
def test_too_small_a_budget_is_one_sentence(budget: str) -> None:
    with pytest.raises(InputError, match=f"a budget of {budget} is too small to train anything"):
        plan_for(budget)
