"""Find the model and the tokenizer of a run directory."""

from pathlib import Path

from groundup.checkpoint import load_model
from groundup.core.errors import InputError
from groundup.core.manifest import MANIFEST
from groundup.models import DecoderModel
from groundup.tokenizers import Tokenizer, load_tokenizer

# The last stage first. Of several seeds of reinforcement learning it is the first one, and not the
# best one: choosing by the held-out score would make that score too good.
STAGES = {"grpo": "grpo-seed-0", "sft": "sft", "base": "pretrain"}


def finished_stages(run: Path) -> list[str]:
    """The stages of the run that have a model to use, the last one first."""
    return [
        stage for stage, folder in STAGES.items() if (run / folder / "model" / MANIFEST).exists()
    ]


def load_run(run: Path, stage: str | None = None) -> tuple[DecoderModel, Tokenizer, str]:
    """The model of `stage`, or of the last finished one; its tokenizer; and the stage's name.

    Raises `InputError` where the run or the stage has no model.
    """
    if not run.is_dir():
        raise InputError(f"{run} does not exist: give a run's folder, such as runs/quickstart.")
    finished = finished_stages(run)
    if not finished:
        raise InputError(f"{run} holds no trained model: run groundup quickstart first.")
    stage = stage or finished[0]
    if stage not in finished:
        raise InputError(f"{run} has no model of the stage {stage}: it has {', '.join(finished)}.")
    tokenizer = load_tokenizer(run / "tokenizer" / "tokenizer.json")
    return load_model(run / STAGES[stage] / "model"), tokenizer, stage
