"""Whole models in and out: a Hugging Face directory becomes a run, and a run becomes a Hugging Face
directory, which `transformers` and vLLM load.

    FROM THERE                            A RUN OF OURS
    config.json, *.safetensors        ↔   pretrain/model/
    tokenizer.json and its settings   ↔   tokenizer/
    generation_config.json            ↔   generation_config.json
    README.md, groundup.json          ←   config.json, summary.json
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from groundup.align.chat import CHAT_TEMPLATE, END_OF_TEXT, SPECIAL_TOKENS
from groundup.checkpoint import load_model, save_model
from groundup.checkpoint.huggingface import (
    NoClassError,
    left_out,
    read_config,
    read_model,
    write_model,
)
from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import PARTIAL, read_json, sync, write_json, write_text
from groundup.infer.load import GENERATION, TOKENIZER, find_model, load_generation
from groundup.models import Decoder
from groundup.models.encoder_decoder import EncoderDecoder
from groundup.report.model_card import model_card
from groundup.tokenizers import Pretrained, load_pretrained, save_pretrained

RECIPE = "groundup.json"
_ENDS = ("bos", "eos", "pad")


def import_run(directory: Path, run: Path) -> dict[str, Any]:
    """Make a run of a Hugging Face directory; returns what is worth telling.

    All or nothing: the run appears when it is whole. The tokenizer is left out where there is none,
    or one of a kind that we have not: `tokenizer` is then the reason. left_out: tensors that are of
    no part of the model. Raises `InputError` where `run` exists and where the model cannot be read.
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
    with _whole(run) as partial:
        try:
            pretrained = load_pretrained(directory)
            save_pretrained(partial / TOKENIZER, pretrained)
            tokenizer = None
        except (ArtifactError, FileNotFoundError) as error:
            tokenizer = str(error)
        settings = {**read_json(directory / "config.json"), **_generation_of(directory)}
        ends = {f"{name}_token_id": settings.get(f"{name}_token_id") for name in _ENDS}
        write_json(partial / GENERATION, ends)
        save_model(partial / "pretrain" / "model", model, facts)
    return {"run": str(run), **facts, "tokenizer": tokenizer, "left_out": left_out(directory)}


def _generation_of(directory: Path) -> dict[str, Any]:
    path = directory / GENERATION
    return read_json(path) if path.is_file() else {}


@contextmanager
def _whole(directory: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `directory` when all is in it. What a killed process left of
    it is thrown away."""
    directory = directory.resolve()
    partial = directory.with_name(directory.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(directory)
    except BaseException:
        shutil.rmtree(partial)
        raise
    sync(directory.parent)


def export_run(
    run: Path, out: Path, *, stage: str | None = None, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Write a stage of a run, by default the last, as a Hugging Face directory.

    All or nothing: the directory appears when it is whole. An imported model that has no tokenizer
    is written without one. Raises `InputError` where `out` exists, where the run has no model, and
    where no class has all parts of it.
    """
    if out.exists():
        raise InputError(f"{out} exists already: choose another --out, or delete it.")
    folder, stage = find_model(run, stage)
    model = load_model(folder)
    ends = load_generation(run)
    imported = ends is not None
    pretrained = None
    if ends is None:
        ends, pretrained = _of_our_own(load_pretrained(run / TOKENIZER), stage)
    elif (run / TOKENIZER).is_dir():
        pretrained = load_pretrained(run / TOKENIZER)
    said = {name: token for name, token in ends.items() if token is not None}
    with _whole(out) as partial:
        try:
            family = write_model(partial, model, settings=said, dtype=dtype)
        except NoClassError as error:
            if imported or not error.changes:
                raise
            options = " ".join(f"--set plan.model.{change}" for change in error.changes)
            raise InputError(f"{str(error)[:-1]}: train it with {options} to export it.") from error
        if pretrained is not None:
            save_pretrained(partial, pretrained)
        if isinstance(model.config, EncoderDecoder):
            said["decoder_start_token_id"] = model.config.begin
        if isinstance(model.config, Decoder | EncoderDecoder):  # what generates
            write_json(partial / GENERATION, {**said, "max_length": model.config.context})
        facts = {
            "architecture": family.architecture,
            "parameters": model.parameter_count(),
            "dtype": str(dtype).removeprefix("torch."),
            "stage": stage,
            "tokenizer": pretrained is not None,
        }
        known = {**facts, "auto": family.auto, "imported": imported}
        _document(partial, run, out.name, known)
    return {"directory": str(out), **facts}


def _of_our_own(pretrained: Pretrained, stage: str) -> tuple[dict[str, Any], Pretrained]:
    """Where the texts of a model of our own begin and end; and its tokenizer, which says so too,
    with a chat template where the stage learned to chat."""
    special = pretrained.tokenizer.special_tokens
    end = special[END_OF_TEXT]
    chats = stage != "base" and set(SPECIAL_TOKENS) <= special.keys()
    return {"bos_token_id": end, "eos_token_id": end}, Pretrained(
        replace(pretrained.file, before=(end,)),
        {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT},
        CHAT_TEMPLATE if chats else None,
    )


def _document(partial: Path, run: Path, name: str, facts: Mapping[str, Any]) -> None:
    """The model card; and of a run of ours its config, from which it can be made again."""
    config, summary = (
        read_json(run / name) if (run / name).is_file() else None
        for name in ("config.json", "summary.json")
    )
    if config is not None:
        write_json(partial / RECIPE, config)
    write_text(partial / "README.md", model_card(name, facts, config, summary))
