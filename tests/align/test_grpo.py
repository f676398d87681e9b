"""GRPO: its formulas by hand, its gradient against the policy gradient's, and that it learns."""

import dataclasses
from pathlib import Path

import pytest
import torch

from groundup.align.chat import SPECIAL_TOKENS, Example, encode_request
from groundup.align.grpo import GRPO, Rollouts, Task, group_advantage, grpo, policy_loss
from groundup.align.sft import collate
from groundup.core.device import Device
from groundup.core.files import sha256_file
from groundup.core.metrics import read_metrics
from groundup.core.progress import make_console
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, DecoderModel
from groundup.optim import AdamW, ByRole, Muon
from groundup.tokenizers import BPE
from groundup.verifiers.verifier import Problem, Verdict

TOKENIZER = BPE.learned([], "gpt2", SPECIAL_TOKENS)
CPU = Device(torch.device("cpu"), torch.float32)
MODEL = Decoder(
    vocab_size=TOKENIZER.vocab_size,
    context=32,
    width=32,
    depth=1,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=16),
    mlp=GLU(hidden=64),
)
CONFIG = GRPO(
    steps=6,
    optimizer=ByRole(
        matrices=Muon(lr=0.03, decay=0.0), embedding=AdamW(lr=0.03), rest=AdamW(lr=0.03)
    ),
    prompts=2,
    group=8,
    micro_batch=8,
    max_tokens=6,
    beta=0.0,
    save_seconds=0.0,
)
TASKS = [Task(encode_request(TOKENIZER, word), {"word": word}) for word in ("a", "b", "c")]


def even_share(problem: Problem, completion: str) -> Verdict:
    """Rewards the share of characters with an even code: anything can raise it."""
    del problem
    codes = [ord(character) for character in completion]
    return Verdict(sum(code % 2 == 0 for code in codes) / max(1, len(codes)), "")


def test_advantages_are_standard_scores_of_their_group() -> None:
    reward = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5])
    got = group_advantage(reward, 4)
    std = (4 * 0.25 / 3) ** 0.5  # of 1, 0, 0, 1 around 1/2, with n − 1
    torch.testing.assert_close(got, torch.tensor([0.5, -0.5, -0.5, 0.5, 0, 0, 0, 0]) / (std + 1e-4))


@pytest.fixture
def rollouts() -> Rollouts:
    rows = [[Example([1, 2, 3, 4, 5], answer=2)], [Example([6, 7, 8], answer=1)]]
    batch = collate(rows, CPU, width=6)
    reference = -3.0 * torch.ones(2, 6)
    return Rollouts(batch, torch.tensor([1.5, -0.5]), reference, {"score": 0.25})


def log_policy(model: DecoderModel, rollouts: Rollouts) -> torch.Tensor:
    return -model.losses(rollouts.batch.tokens, rollouts.batch.targets).double()


def test_the_loss_is_equations_3_and_4(rollouts: Rollouts) -> None:
    model = MODEL.build(0)
    loss, notes = policy_loss(model, rollouts, beta=0.1)
    log_p = log_policy(model, rollouts).detach()
    objective = []
    divergences = []
    for row, advantage in enumerate((1.5, -0.5)):
        values = []
        for t in range(6):
            if rollouts.batch.weight[row, t]:
                gap = -3.0 - log_p[row, t]
                divergence = gap.exp() - gap - 1
                divergences.append(divergence)
                values.append(advantage - 0.1 * divergence)  # the ratio is 1
        objective.append(sum(values) / len(values))
    assert loss.item() == pytest.approx(-float(sum(objective)) / 2, rel=1e-5)
    assert notes["kl"] == pytest.approx(float(sum(divergences)) / 5, rel=1e-5)
    assert notes["score"] == 0.25


def test_the_gradient_is_that_of_advantage_times_log_probability(rollouts: Rollouts) -> None:
    """Sutton et al. 2000: on the policy's own samples, ∇J = E[A · ∇ log π]."""
    model = MODEL.build(0)
    policy_loss(model, rollouts, beta=0.0)[0].backward()
    got = model.readout.head.weight.grad.clone()
    model.zero_grad()
    weight = rollouts.batch.weight
    scores = (log_policy(model, rollouts) * weight).sum(1) / weight.sum(1)
    (-(scores * rollouts.advantage).mean()).backward()
    torch.testing.assert_close(got, model.readout.head.weight.grad, atol=1e-7, rtol=1e-4)


def learn(directory: Path, config: GRPO = CONFIG, verifier=even_share) -> dict:
    return grpo(
        config,
        MODEL.build(0),
        MODEL.build(0),
        TASKS,
        verifier,
        TOKENIZER,
        directory,
        stop=TOKENIZER.special_tokens["<|endoftext|>"],
        device=CPU,
        console=make_console(quiet=True),
    )


def test_the_reward_rises(tmp_path: Path) -> None:
    learn(tmp_path, dataclasses.replace(CONFIG, steps=30))
    rewards = [record["reward"] for record in read_metrics(tmp_path / "metrics.jsonl")]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.15


def test_a_run_that_is_cut_off_ends_with_the_same_bits(tmp_path: Path, cut_off) -> None:
    learn(tmp_path / "whole")
    cut_off(lambda: learn(tmp_path / "cut"), 3)
    learn(tmp_path / "cut")
    whole, cut = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert sha256_file(whole) == sha256_file(cut)


def test_a_verifier_that_raises_scores_zero_and_is_counted(tmp_path: Path) -> None:
    def broken(problem: Problem, completion: str) -> Verdict:
        raise RuntimeError(f"{problem} {completion}")

    learn(tmp_path, dataclasses.replace(CONFIG, steps=1), broken)
    (record,) = read_metrics(tmp_path / "metrics.jsonl")
    assert record["verifier_raised"] == 16
    assert record["reward"] == 0.0
    assert record["flat_groups"] == 1.0


@pytest.mark.parametrize("wrong", [{"group": 1}, {"micro_batch": 5}])
def test_groups_must_compare_and_divide(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"at least two answers|must divide"):
        dataclasses.replace(CONFIG, **wrong)
