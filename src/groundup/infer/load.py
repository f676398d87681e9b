"""Find the model and the tokenizer of a run directory."""

from pathlib import Path
from typing import Any

from groundup.checkpoint import load_decoder
from groundup.core.errors import InputError
from groundup.core.files import read_json
from groundup.core.manifest import MANIFEST
from groundup.models import DecoderModel
from groundup.tokenizers import Tokenizer, load_pretrained, load_tokenizer

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


def find_model(run: Path, stage: str | None = None) -> tuple[Path, str]:
    """Where the model of `stage`, or of the last finished one, is; and the stage's name.

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
    return run / STAGES[stage] / "model", stage


def load_run(run: Path, stage: str | None = None) -> tuple[DecoderModel, Tokenizer, str]:
    """The model of `stage`, or of the last finished one; its tokenizer; and the stage's name.

    Raises `InputError` where the run or the stage has no model, or one that continues no text, and
    where a model was imported without its tokenizer.
    """
    folder, stage = find_model(run, stage)
    model = load_decoder(folder)
    if load_generation(run) is not None and not (run / TOKENIZER).is_dir():
        raise InputError(f"{run} was imported without a tokenizer, so it can read no text.")
    return model, load_tokenizer(run / TOKENIZER / "tokenizer.json"), stage


def load_generation(run: Path) -> dict[str, Any] | None:
    """The special ids of an imported model, as Hugging Face names them; None for a run of ours."""
    path = run / GENERATION
    return read_json(path) if path.exists() else None


def document_ends(run: Path, end_of_text: int | None) -> tuple[list[int], list[int]]:
    """The tokens that a text begins with, and those that end it.

    end_of_text: what does both in a run of ours. An imported model's tokenizer says what stands
    before a text: Llama's puts a token there, those of GPT-2 and Qwen none.
    """
    ids = load_generation(run)
    if ids is None:
        own = [] if end_of_text is None else [end_of_text]
        return own, own
    return list(load_pretrained(run / TOKENIZER).file.before), _ends(ids)


def ends_of(directory: Path) -> list[int]:
    """The tokens that end a text of a model in a directory of Hugging Face."""
    paths = (directory / name for name in (GENERATION, "config.json"))
    told = (_ends(read_json(path)) for path in paths if path.is_file())
    return next(filter(None, told), [])


def _ends(ids: Any) -> list[int]:
    end = ids.get("eos_token_id") if isinstance(ids, dict) else None
    return end if isinstance(end, list) else [] if end is None else [end]
