"""The config of the main job: what the user asks for, and the plan that was made of it.

A config without a plan says what is wanted. The plan is made once, after the corpus is known and
the machine is measured, and is saved with the config; a resumed run, or one that is started from a
saved `config.json`, follows it as it stands.
"""

from dataclasses import dataclass
from typing import Literal

from groundup.align.chat import SPECIAL_TOKENS
from groundup.align.grpo import GRPO
from groundup.align.sft import SFT
from groundup.core.device import Format
from groundup.curate import Curate
from groundup.models import Decoder
from groundup.scaling import Reason
from groundup.train import Pretrain


@dataclass(frozen=True, kw_only=True)
class TokenizerTraining:
    """vocab_size: bytes, merges and special tokens together. pattern: see `tokenizers.patterns`."""

    vocab_size: int = 4096
    pattern: str = "cl100k"
    special_tokens: tuple[str, ...] = SPECIAL_TOKENS


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """prompts: held-out requests that the verifier judges. temperature: of the answers.

    stride: tokens between windows when bits per byte are measured; smaller is slower, and each
    token is then predicted from more context. max_bytes: of held-out text that is measured on; a
    short budget in time measures on less.
    """

    prompts: int = 256
    temperature: float = 0.7
    stride: int = 256
    max_bytes: int = 1_000_000


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """What a stage is expected to cost. seconds: None where time was not measured."""

    stage: str
    flops: float
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What was measured of the machine before planning.

    prediction_tokens_per_second: of evaluations, that read text and learn nothing.
    sft_step_seconds: where that is not one of pretraining's micro-batches.
    answer_seconds: of one answer, among others.
    """

    peak_flops_per_second: float
    flops_per_second: float
    tokens_per_second: float
    step_seconds: float
    setup_seconds: float
    prediction_tokens_per_second: float
    sft_step_seconds: float | None = None
    answer_seconds: float | None = None
    grpo_step_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that the budget decides. probe: None for a budget in FLOPs, which needs none.

    measured_bytes: of held-out text, in each evaluation. seconds: that measuring for the plan took.
    """

    model: Decoder
    pretrain: Pretrain
    sft: SFT | None
    grpo: GRPO | None
    measured_bytes: int
    reasons: tuple[Reason, ...]
    stages: tuple[StagePlan, ...]
    probe: Probe | None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Quickstart:
    """data: `stdlib`, a named corpus, a URL, a Hugging Face id, or a file or folder.

    budget: of the whole job, see `scaling.budget`. chat: JSONL of examples for fine-tuning.
    verifier: `MODULE:FUNCTION` or `FILE.py:FUNCTION` for reinforcement learning.
    grpo_seeds: how many times reinforcement learning is repeated, to see its noise.
    compile: "auto" compiles where a compiler is found and the compiled core does not fuse the same,
    and with a budget in time only where that is measured to pay.
    plan_overrides: `key=value` changes to the plan, applied when it is made.
    """

    data: str = "stdlib"
    budget: str = "9m"
    seed: int = 0
    curate: Curate = Curate()
    tokenizer: TokenizerTraining = TokenizerTraining()
    evaluation: Evaluation = Evaluation()
    chat: str | None = None
    verifier: str | None = None
    grpo_seeds: int = 3
    device: str = "auto"
    dtype: Format = "auto"
    compile: Literal["auto", "yes", "no"] = "auto"
    plan_overrides: tuple[str, ...] = ()
    plan: Plan | None = None


def quickstart() -> Quickstart:
    """From Python's own standard library to a small code model, in minutes on two cores."""
    return Quickstart()
