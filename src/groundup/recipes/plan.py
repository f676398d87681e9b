"""The plan of the main job: the budget, divided among pretraining, fine-tuning and GRPO.

Every stage has a cost a step, and gets as many steps as its share of the budget pays for. With a
budget in FLOPs the cost is counted, so the same budget gives the same steps on every machine; with
a budget in time it is measured, by doing a few real steps of each kind.
"""

import dataclasses
import statistics
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from groundup.align.chat import Example
from groundup.align.grpo import GRPO
from groundup.align.sft import SFT
from groundup.core.config import apply_overrides
from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed
from groundup.models import training_flops
from groundup.optim import ByRole
from groundup.recipes.generating import answer_seconds, grpo_seconds
from groundup.recipes.quickstart import Plan, Probe, Quickstart, StagePlan
from groundup.scaling import Budget, Reason, plan_pretraining
from groundup.scaling.plan import ASSUMED_UTILISATION
from groundup.train.compile import can_compile, core_fuses
from groundup.train.micro_batches import few_micro_batches, free_memory
from groundup.train.probe import faster_step, peak_flops, prediction_rate, probe_step

# Shares of what training gets. Reinforcement learning gets so much because it is done three times,
# to show how much of its gain is chance.
SHARES = {"pretrain": 0.50, "sft": 0.15, "grpo": 0.35}
# Shares of the whole time: of all evaluations together, which read less text where they would take
# more; and of starting the stages, saving and the report.
EVALUATION_SHARE = 0.10
OVERHEAD_SHARE = 0.05
# Of pretraining's time, what the measurements on the way take.
VALIDATION_SHARE = 0.05
_LEAST_MEASURED = 50_000  # bytes
_ANSWERS_TIMED = 32
_MOST_SFT_EPOCHS = 4
# Learning rates as shares of pretraining's: of the matrices, and of all else (docs/recipe.md).
_SFT_RATES, _GRPO_RATES = (1.0, 0.5), (0.3, 0.15)
_FUSED = "groundup's own core fuses what PyTorch's compiler would, and needs no time for it"
# Generating, one pass of the reference and three of training: 2 + 2 + 6 of training's 6 FLOPs.
_GRPO_PASSES = 10 / 6


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Text to measure with. ends: of each document, in tokens. bytes: of all."""

    ends: Sequence[int]
    bytes: int

    @property
    def tokens(self) -> int:
        return self.ends[-1]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to train on, and to measure with.

    unique_tokens: of the training set. held_out: the text that is not trained on. examples: for
    fine-tuning. prompts: requests for reinforcement learning, as tokens. Empty ones: the stage is
    left out. requests: those that each evaluation answers, as tokens.
    """

    unique_tokens: int
    held_out: HeldOut
    examples: Sequence[Example]
    prompts: Sequence[Sequence[int]]
    requests: Sequence[Sequence[int]] = ()


def make_plan(
    config: Quickstart, budget: Budget, work: Work, device: Device, *, spent: float
) -> Plan:
    """The plan for `budget`. spent: seconds that the job has taken so far.

    Raises `InputError` where the budget is too small to train anything.
    """
    started = time.perf_counter()
    shares = _shares(work)
    if budget.flops is not None:
        draft = _draft(config, budget.flops, shares, work, device)
        costs = _counted_costs(draft, config, work)
        return _allocate(draft, config, work, shares, costs, budget.flops)
    assert budget.seconds is not None
    peak = peak_flops(device)
    evaluating = budget.seconds * EVALUATION_SHARE  # at the most
    left = budget.seconds * (1 - OVERHEAD_SHARE) - spent
    training = max(left - evaluating, 1.0)
    draft = _draft(config, training * peak * ASSUMED_UTILISATION, shares, work, device)
    of_shards = training * (shares["pretrain"] + shares.get("sft", 0.0))
    draft = _measure(draft, config, work, device, peak, of_shards)
    draft, evaluating = _measuring_within(evaluating, draft, config, work)
    measuring = time.perf_counter() - started
    left -= evaluating + measuring
    plan = _allocate(draft, config, work, shares, _measured_costs(draft, config), left)
    plan = dataclasses.replace(_validated(plan, work), seconds=measuring)
    return apply_overrides(plan, config.plan_overrides)


def _shares(work: Work) -> dict[str, float]:
    shares = {"pretrain": SHARES["pretrain"]}
    if work.examples:
        shares["sft"] = SHARES["sft"]
    if work.prompts:
        shares["grpo"] = SHARES["grpo"]
    return {stage: share / sum(shares.values()) for stage, share in shares.items()}


def _draft(
    config: Quickstart, flops: float, shares: dict[str, float], work: Work, device: Device
) -> Plan:
    """Model, batches and learning rates; the steps are set by `_allocate`."""
    try:
        pretraining = plan_pretraining(
            flops * shares["pretrain"],
            vocab_size=config.tokenizer.vocab_size,
            unique_tokens=work.unique_tokens,
            seed=config.seed,
        )
    except ValueError as error:
        raise InputError(
            f"a budget of {config.budget} is too small to train anything: {error}."
        ) from error
    compiles = {"auto": can_compile(device.device), "yes": True, "no": False}
    pretrain = dataclasses.replace(pretraining.pretrain, compile=compiles[config.compile])
    optimizer = pretrain.optimizer
    sft = SFT(
        steps=1,
        batch=pretrain.batch,
        optimizer=_slower(optimizer, *_SFT_RATES),
        compile=pretrain.compile,
        attention=pretrain.attention,
        seed=derive_seed(config.seed, "sft"),
    )
    grpo = GRPO(
        steps=1,
        optimizer=_slower(optimizer, *_GRPO_RATES),
        attention=pretrain.attention,
    )
    plan = Plan(
        model=pretraining.model,
        pretrain=few_micro_batches(pretrain, pretraining.model, device, free_memory(device)),
        sft=sft if "sft" in shares else None,
        grpo=grpo if "grpo" in shares else None,
        measured_bytes=min(config.evaluation.max_bytes, work.held_out.bytes),
        reasons=pretraining.reasons,
        stages=(),
        probe=None,
    )
    plan = apply_overrides(plan, config.plan_overrides)
    if _may_compile(plan, config) and core_fuses(plan.model, device):
        plan = _compiled(plan, False, _FUSED)
    return apply_overrides(plan, config.plan_overrides)


def _may_compile(plan: Plan, config: Quickstart) -> bool:
    """Whether it is left to the plan."""
    asked_for = config.compile == "yes" or "pretrain.compile=true" in config.plan_overrides
    return plan.pretrain.compile and not asked_for


def _compiled(plan: Plan, compiled: bool, because: str) -> Plan:
    reason = Reason(choice="compiled", value="yes" if compiled else "no", because=because)
    return dataclasses.replace(
        plan,
        pretrain=dataclasses.replace(plan.pretrain, compile=compiled),
        sft=plan.sft and dataclasses.replace(plan.sft, compile=compiled),
        reasons=(*plan.reasons, reason),
    )


def _slower(optimizer: ByRole, matrices: float, factor: float) -> ByRole:
    return ByRole(
        matrices=dataclasses.replace(
            optimizer.matrices, lr=optimizer.matrices.lr * matrices, decay=0.0
        ),
        embedding=dataclasses.replace(optimizer.embedding, lr=optimizer.embedding.lr * factor),
        rest=dataclasses.replace(optimizer.rest, lr=optimizer.rest.lr * factor),
    )


def _counted_costs(plan: Plan, config: Quickstart, work: Work) -> dict[str, float]:
    """FLOPs of one step of each stage; GRPO's of all its seeds."""
    context = plan.model.context
    sequences = plan.pretrain.batch * plan.pretrain.accumulation
    costs = {"pretrain": float(sequences * training_flops(plan.model, context))}
    if plan.sft:
        costs["sft"] = float(plan.sft.batch * training_flops(plan.model, context))
    if plan.grpo:
        prompt = round(statistics.mean(map(len, work.prompts)))
        answer = training_flops(plan.model, prompt + plan.grpo.max_tokens) * _GRPO_PASSES
        costs["grpo"] = plan.grpo.prompts * plan.grpo.group * answer * config.grpo_seeds
    return costs


def _measured_costs(plan: Plan, config: Quickstart) -> dict[str, float]:
    """Seconds of one step of each stage; GRPO's of all its seeds."""
    assert plan.probe is not None
    step = plan.probe.step_seconds
    costs = {"pretrain": step / (1 - VALIDATION_SHARE)}
    if plan.sft:
        costs["sft"] = plan.probe.sft_step_seconds or step / plan.pretrain.accumulation
    if plan.probe.grpo_step_seconds is not None:
        costs["grpo"] = plan.probe.grpo_step_seconds * config.grpo_seeds
    return costs


def _measure(
    plan: Plan, config: Quickstart, work: Work, device: Device, peak: float, seconds: float
) -> Plan:
    """The plan with a probe: real steps of each stage that it has, with an untrained model.

    seconds: of pretraining and fine-tuning, which are compiled where that pays.
    """
    if _may_compile(plan, config):
        pretrain, step, why = faster_step(plan.pretrain, plan.model, device, seconds)
        plan = _compiled(plan, pretrain.compile, why)
    else:
        step = probe_step(plan.pretrain, plan.model, device)
    sft_step = answer = grpo_step = None
    if plan.sft and plan.sft.batch != plan.pretrain.batch:
        alike = dataclasses.replace(plan.pretrain, batch=plan.sft.batch, accumulation=1)
        sft_step = probe_step(alike, plan.model, device).step_seconds
    if plan.grpo:
        answer, grpo_step = grpo_seconds(plan.grpo, plan.model, work.prompts, device)
    elif work.requests:
        answer = answer_seconds(plan.model, work.requests[:_ANSWERS_TIMED], device)
    probe = Probe(
        peak_flops_per_second=peak,
        prediction_tokens_per_second=prediction_rate(plan.model, device),
        sft_step_seconds=sft_step,
        answer_seconds=answer,
        grpo_step_seconds=grpo_step,
        **dataclasses.asdict(step),
    )
    return dataclasses.replace(plan, probe=probe)


def _measuring_within(
    seconds: float, plan: Plan, config: Quickstart, work: Work
) -> tuple[Plan, float]:
    """The plan with as much held-out text as all evaluations can read within `seconds`, and the
    seconds that they take."""
    probe, evaluation, held_out = plan.probe, config.evaluation, work.held_out
    assert probe is not None
    evaluations = 1 + bool(plan.sft) + bool(plan.grpo) * config.grpo_seeds
    answers = min(evaluation.prompts, len(work.requests))
    answering = answers * (probe.answer_seconds or 0.0)
    # Windows overlap, so that each token is read about context / stride times.
    context = plan.model.context
    read = held_out.tokens / held_out.bytes * context / min(evaluation.stride, context)
    of_a_byte = read / probe.prediction_tokens_per_second
    affordable = int((seconds / evaluations - answering) / of_a_byte)
    measured = min(max(affordable, _LEAST_MEASURED), plan.measured_bytes)
    total = evaluations * (answering + measured * of_a_byte)
    return dataclasses.replace(plan, measured_bytes=measured), total


def _validated(plan: Plan, work: Work) -> Plan:
    """The plan with as many documents in each measurement on the way as its share of time pays for,
    and fewer measurements where the first document alone is too long; never more than by default.
    """
    assert plan.probe is not None
    pretrain, ends = plan.pretrain, work.held_out.ends
    seconds = pretrain.steps * plan.probe.step_seconds * VALIDATION_SHARE
    tokens = int(seconds * plan.probe.prediction_tokens_per_second)
    documents = max(1, bisect_right(ends, tokens // max(1, pretrain.validations)))
    documents = min(documents, pretrain.validation_documents)
    validations = min(max(1, tokens // ends[documents - 1]), pretrain.validations)
    return dataclasses.replace(
        plan,
        pretrain=dataclasses.replace(
            pretrain, validations=validations, validation_documents=documents
        ),
    )


def _allocate(
    draft: Plan,
    config: Quickstart,
    work: Work,
    shares: dict[str, float],
    costs: dict[str, float],
    available: float,
) -> Plan:
    """As many steps of each stage as its share of `available` pays for."""
    counts = {stage: int(available * shares[stage] / costs[stage]) for stage in costs}
    if counts["pretrain"] < 3:
        raise InputError(
            f"a budget of {config.budget} is too small to train anything: it pays for "
            f"{max(0, counts['pretrain'])} steps of the model that was chosen; give more."
        )
    if draft.sft:
        rows = sum(len(example.tokens) for example in work.examples) / draft.model.context
        most = int(_MOST_SFT_EPOCHS * rows / draft.sft.batch)
        counts["sft"] = max(1, min(counts["sft"], most))
    if draft.grpo:
        counts["grpo"] = max(1, counts["grpo"])
    stages = {
        stage: dataclasses.replace(getattr(draft, stage), steps=count)
        for stage, count in counts.items()
    }
    plan = apply_overrides(dataclasses.replace(draft, **stages), config.plan_overrides)
    return dataclasses.replace(
        plan,
        reasons=(*plan.reasons, *_step_reasons(plan, config, work)),
        stages=_stage_plans(plan, config, work, costs),
    )


def _step_reasons(plan: Plan, config: Quickstart, work: Work) -> list[Reason]:
    pretrain = plan.pretrain
    micro_batches = pretrain.micro_batches_before(pretrain.steps)
    tokens = micro_batches * pretrain.batch * plan.model.context
    if plan.probe:
        share = plan.probe.flops_per_second / plan.probe.peak_flops_per_second
        because = (
            f"measured {plan.probe.tokens_per_second:,.0f} tokens/s, {share:.0%} of the matrix rate"
        )
    else:
        because = "what the FLOPs pay for"
    epochs = tokens / work.unique_tokens
    reasons = [
        Reason(
            choice="tokens",
            value=f"{tokens / 1e6:.3g} M in {pretrain.steps} steps",
            because=f"{because}; {epochs:.2g} epochs",
        )
    ]
    if plan.sft:
        reasons.append(
            Reason(
                choice="fine-tuning",
                value=f"{plan.sft.steps} steps of {plan.sft.batch} rows",
                because=f"{len(work.examples)} examples, at most {_MOST_SFT_EPOCHS} epochs",
            )
        )
    if plan.grpo:
        reasons.append(
            Reason(
                choice="GRPO",
                value=f"{plan.grpo.steps} steps of {plan.grpo.prompts} × {plan.grpo.group} answers",
                because=f"for each of {config.grpo_seeds} seeds, to see the noise",
            )
        )
    return reasons


def _stage_plans(
    plan: Plan, config: Quickstart, work: Work, costs: dict[str, float]
) -> tuple[StagePlan, ...]:
    flops = _counted_costs(plan, config, work)
    return tuple(
        StagePlan(
            stage=stage,
            flops=getattr(plan, stage).steps * flops[stage],
            seconds=getattr(plan, stage).steps * costs[stage] if plan.probe else None,
        )
        for stage in costs
    )
