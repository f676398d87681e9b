"""Find the model and the tokenizer of a run directory."""

from pathlib import Path
from typing import Any

from groundup.checkpoint import load_decoder
from groundup.core.errors import InputError
from groundup.core.files import read_json
from groundup.core.manifest import MANIFEST
from groundup.models import DecoderModel
from groundup.tokenizers import Tokenizer, load_tokenizer

# The last stage first. Of several seeds of reinforcement learning it is the first one, and not the
# best one: choosing by the held-out score would make that score too good.
STAGES = {"grpo": "grpo-seed-0", "sft": "sft", "base": "pretrain"}


TOKENIZER = "tokenizer"
GENERATION = "generation_config.json"  # of a model that was imported: where its texts begin and end


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
    tokenizer = load_tokenizer(run / TOKENIZER / "tokenizer.json")
    return load_decoder(run / STAGES[stage] / "model"), tokenizer, stage


def load_generation(run: Path) -> dict[str, Any] | None:
    """The special ids of an imported model, as Hugging Face names them; None for a run of ours."""
    path = run / GENERATION
    return read_json(path) if path.exists() else None


def document_ends(run: Path, end_of_text: int | None) -> tuple[list[int], list[int]]:
    """The tokens that a text begins with, and those that end it.

    end_of_text: what does both in a run of ours.
    """
    ids = load_generation(run)
    if ids is None:
        own = [] if end_of_text is None else [end_of_text]
        return own, own
    return _listed(ids.get("bos_token_id")), _listed(ids.get("eos_token_id"))


def _listed(ids: int | list[int] | None) -> list[int]:
    if ids is None:
        return []
    return ids if isinstance(ids, list) else [ids]
