"""Whole models in and out: a Hugging Face directory becomes a run, and a run becomes a Hugging Face
directory, which `transformers` and vLLM load.

    FROM THERE                            A RUN OF OURS
    config.json, *.safetensors        ↔   pretrain/model/
    tokenizer.json and its settings   ↔   tokenizer/
    generation_config.json            ↔   generation_config.json
    README.md, groundup.json          ←   config.json, summary.json
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from groundup.align.chat import CHAT_TEMPLATE, END_OF_TEXT, SPECIAL_TOKENS
from groundup.checkpoint import save_model
from groundup.checkpoint.huggingface import read_config, read_model, write_model
from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import PARTIAL, read_json, sync, write_json, write_text
from groundup.infer import load_run
from groundup.infer.load import GENERATION, TOKENIZER, load_generation
from groundup.report.model_card import model_card
from groundup.tokenizers import Pretrained, load_pretrained, save_pretrained

RECIPE = "groundup.json"


def import_run(directory: Path, run: Path) -> dict[str, Any]:
    """Make a run of a Hugging Face directory; returns what is worth telling.

    The tokenizer is left out where there is none, or one of a kind that we have not: `tokenizer` is
    then the reason. Raises `InputError` where `run` exists and where the model cannot be read.
    """
    if run.exists() and any(run.iterdir()):
        raise InputError(f"{run} exists already: choose another --out.")
    family, _ = read_config(directory)
    model = read_model(directory)
    facts = {
        "architecture": family.architecture,
        "parameters": model.parameter_count(),
        "imported": directory.resolve().name,
    }
    try:
        pretrained = load_pretrained(directory)
        save_pretrained(run / TOKENIZER, pretrained)
        tokenizer = None
    except (ArtifactError, FileNotFoundError) as error:
        tokenizer = str(error)
    settings = {**read_json(directory / "config.json"), **_generation_of(directory)}
    ends = {name: settings.get(name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    write_json(run / GENERATION, ends)
    save_model(run / "pretrain" / "model", model, facts)
    return {"run": str(run), **facts, "tokenizer": tokenizer}


def _generation_of(directory: Path) -> dict[str, Any]:
    path = directory / GENERATION
    return read_json(path) if path.is_file() else {}


def export_run(
    run: Path, out: Path, *, stage: str | None = None, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Write a stage of a run, by default the last, as a Hugging Face directory.

    All or nothing: the directory appears when it is whole. Raises `InputError` where `out` exists,
    where the run has no model, and where no class has all parts of it.
    """
    if out.exists():
        raise InputError(f"{out} exists already: choose another --out, or delete it.")
    model, tokenizer, stage = load_run(run, stage)
    pretrained = load_pretrained(run / TOKENIZER)
    ends = load_generation(run)
    if ends is None:  # of our own making
        end = tokenizer.special_tokens[END_OF_TEXT]
        ends = {"bos_token_id": end, "eos_token_id": end}
        chats = stage != "base" and set(SPECIAL_TOKENS) <= tokenizer.special_tokens.keys()
        pretrained = Pretrained(
            pretrained.file,
            {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT},
            CHAT_TEMPLATE if chats else None,
        )
    partial = out.with_name(out.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    said = {name: token for name, token in ends.items() if token is not None}
    family = write_model(partial, model, settings=said, dtype=dtype)
    save_pretrained(partial, pretrained)
    write_json(partial / GENERATION, {**said, "max_length": model.config.context})
    facts = {
        "architecture": family.architecture,
        "parameters": model.parameter_count(),
        "dtype": str(dtype).removeprefix("torch."),
        "stage": stage,
    }
    _document(partial, run, out.name, facts)
    partial.rename(out)
    sync(out.parent)
    return {"directory": str(out), **facts}


def _document(partial: Path, run: Path, name: str, facts: Mapping[str, Any]) -> None:
    """The model card; and of a run of ours its config, from which it can be made again."""
    finished = (run / "summary.json").is_file()
    config = read_json(run / "config.json") if finished else None
    summary = read_json(run / "summary.json") if finished else None
    if config is not None:
        write_json(partial / RECIPE, config)
    write_text(partial / "README.md", model_card(name, facts, config, summary))
