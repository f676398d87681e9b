"""From a budget to a model and its pretraining: which size, how many tokens, which batch and rate.

The rule is Hoffmann et al. 2022 ("Chinchilla"): C = 6·N·D FLOPs are best spent with about
D = 20·N tokens, N counting the weights that multiply every token. Two things bend it:

- Text that is read again teaches less; up to four times it is nearly as good as new
  (Muennighoff et al. 2023). Where 20·N exceeds four epochs, the model grows instead.
- A budget in time buys what this machine does in that time, so the steps of the chosen shape are
  measured, and their number follows from the measurement.
"""

import math
from dataclasses import dataclass

from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, training_flops
from groundup.models.flops import matrix_parameters
from groundup.optim import AdamW, ByRole, Muon
from groundup.train import Pretrain

TOKENS_PER_PARAMETER = 20
MOST_EPOCHS = 4
# Share of the measured matrix rate that a small model's training step reaches, before it is
# measured: only the choice among neighbouring sizes hangs on it.
ASSUMED_UTILISATION = 0.2
# With fewer steps than about this a larger batch costs progress, with more it costs nothing
# (McCandlish et al. 2018, "An empirical model of large-batch training", section 2.4).
STEPS_WANTED = 8000
_HEAD_WIDTH = 64
_CONTEXT = 512
_MICRO_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One line of the table that explains a plan."""

    choice: str
    value: str
    because: str


@dataclass(frozen=True, kw_only=True)
class PretrainPlan:
    """A model, its pretraining, and why."""

    model: Decoder
    pretrain: Pretrain
    reasons: tuple[Reason, ...]


def decoder_of_size(size: int, vocab_size: int, context: int = _CONTEXT) -> Decoder:
    """The `size`-th decoder of a ladder of like proportions: width 64 · size, depth `size`."""
    width = _HEAD_WIDTH * size
    kv_heads = size // 2 if size % 2 == 0 else 1
    return Decoder(
        vocab_size=vocab_size,
        context=context,
        width=width,
        depth=size,
        attention=GroupedQuery(heads=size, kv_heads=kv_heads, head_width=_HEAD_WIDTH, shift=True),
        mlp=GLU(hidden=round(8 / 3 * width / 64) * 64),
        embedding_in_head=True,
    )


def optimizer_of_width(width: int) -> ByRole:
    """Rates that fall with the root of the width; Muon's was measured at widths of 128 and 192
    (`docs/recipe.md`), and beyond them the root is an assumption."""
    scale = math.sqrt(256 / width)
    return ByRole(
        matrices=Muon(lr=0.01 * scale),
        embedding=AdamW(lr=0.09 * scale),
        rest=AdamW(lr=0.003 * scale),
    )


def plan_pretraining(
    flops: float, *, vocab_size: int, unique_tokens: int, seed: int
) -> PretrainPlan:
    """The plan that spends `flops` on pretraining.

    unique_tokens: length of the training set. Raises ValueError for a budget below one step.
    """
    model, wanted = _choose_size(flops, vocab_size, unique_tokens)
    per_token = training_flops(model, model.context) / model.context
    tokens = flops / per_token
    accumulation = _accumulation(tokens)
    batch_tokens = _MICRO_BATCH * accumulation * model.context
    steps = int(tokens / batch_tokens)
    if steps < 1:
        raise ValueError(
            f"{flops:.2g} FLOPs are less than one training step of the smallest model "
            f"({batch_tokens * per_token:.2g})"
        )
    pretrain = Pretrain(
        steps=steps,
        batch=_MICRO_BATCH,
        accumulation=accumulation,
        optimizer=optimizer_of_width(model.width),
        seed=seed,
    )
    reasons = (
        Reason(
            choice="model",
            value=f"{model.depth} layers of width {model.width}",
            because=f"at least {wanted / 1e6:.2g} M weights: C = 6·N·D with "
            f"D = {TOKENS_PER_PARAMETER}·N, at most {MOST_EPOCHS} epochs of "
            f"{unique_tokens / 1e6:.3g} M tokens",
        ),
        Reason(
            choice="batch",
            value=f"{batch_tokens:,} tokens",
            because=f"the smallest that leaves at most about {STEPS_WANTED} steps"
            if accumulation > 1
            else "the smallest that keeps the matrix units busy",
        ),
        Reason(
            choice="learning rate",
            value=", ".join(
                f"{rate:.3g} ({part})"
                for part, rate in (
                    ("Muon", pretrain.optimizer.matrices.lr),
                    ("embedding", pretrain.optimizer.embedding.lr),
                    ("rest", pretrain.optimizer.rest.lr),
                )
            ),
            because="0.01, 0.09 and 0.003 at width 256, falling with the root of the width",
        ),
    )
    return PretrainPlan(model=model, pretrain=pretrain, reasons=reasons)


def _choose_size(flops: float, vocab_size: int, unique_tokens: int) -> tuple[Decoder, float]:
    """The smallest rung of the ladder that has the N that the rule wants, and that N.

    The next larger and not the nearest: wider matrices use more of the machine, and text that is
    read again teaches a larger model more.
    """
    tokens = min(math.sqrt(flops / 6 * TOKENS_PER_PARAMETER), MOST_EPOCHS * unique_tokens)
    wanted = flops / (6 * tokens)
    ladder = [decoder_of_size(size, vocab_size) for size in range(2, 65)]
    large_enough = (model for model in ladder if matrix_parameters(model) >= wanted)
    return next(large_enough, ladder[-1]), wanted


def _accumulation(tokens: float) -> int:
    """Micro-batches a step: the power of two that leaves about `STEPS_WANTED` steps."""
    micro_batch_tokens = _MICRO_BATCH * _CONTEXT
    return 2 ** max(0, math.floor(math.log2(max(1.0, tokens / STEPS_WANTED / micro_batch_tokens))))
