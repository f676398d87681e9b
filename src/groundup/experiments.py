"""Experiments: train models that differ in one thing with the same budget, and compare them.

Each training is a folder of its own, finished by its manifest. So a comparison can be killed at any
moment and run again, and grows by the trainings that it lacks.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from groundup.core.config import apply_overrides, to_dict
from groundup.core.device import select_device, tune_cpu
from groundup.core.errors import InputError
from groundup.core.files import sha256_json, write_json
from groundup.core.rundir import open_run
from groundup.data.shards import TokenShards
from groundup.evals import documents_within
from groundup.evals.interval import Estimate, estimate
from groundup.models.ngram import NGram, NGramModel, train_ngram
from groundup.packing import is_packed
from groundup.pipeline import Job
from groundup.recipes.experiment import Experiment
from groundup.recipes.quickstart import Quickstart
from groundup.train.probe import machine_description
from groundup.training import (
    Text,
    affordable_steps,
    consistent,
    curated,
    make_text,
    train_model,
)

_ORDERS = (1, 2, 3, 4, 5)  # of the n-gram models
# Settings that follow from others, which are what can be varied.
_DERIVED = {
    "model.vocab_size": "tokenizer.vocab_size",
    "pretrain.steps": "budget",
    "pretrain.compile": "compile",
    "pretrain.seed": "seed",
}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """name: as it is shown. setting: what was changed, empty for the base."""

    name: str
    experiment: Experiment
    setting: str = ""


def variants_of(base: Experiment, vary: Sequence[str], *, grid: bool) -> list[Variant]:
    """The base, and it with each of the values of each `KEY=VALUE,VALUE,…`, one at a time; with
    `grid` all combinations of values instead.

    A value that is the base's own makes no variant. Raises `ConfigError` for a key that there is
    not, and a value that does not fit it; `InputError` for a setting that follows from another.
    """
    axes = []
    for text in vary:
        key, equals, values = text.partition("=")
        if not equals:
            raise InputError(f"'{text}' varies nothing: write KEY=VALUE,VALUE.")
        if follows := _DERIVED.get(key.strip()):
            raise InputError(f"{key.strip()} follows from {follows}: vary that instead.")
        axes.append([f"{key.strip()}={value}" for value in _split(values)])
    if not axes:
        raise InputError("there is nothing to compare: give --vary KEY=VALUE,VALUE.")
    changes = list(itertools.product(*axes)) if grid else [(c,) for axis in axes for c in axis]
    variants = [Variant(name="base", experiment=consistent(base))]
    for change in changes:
        experiment = consistent(apply_overrides(base, list(change)))
        if any(experiment == known.experiment for known in variants):
            continue
        name = ", ".join(part.removeprefix("model.") for part in change)
        variants.append(Variant(name=name, experiment=experiment, setting=", ".join(change)))
    return variants


def _split(values: str) -> list[str]:
    """At the commas that are in no brackets: a value may be JSON."""
    parts, depth = [""], 0
    for character in values:
        depth += (character in "[{") - (character in "]}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def compare(
    variants: Sequence[Variant],
    directory: Path,
    *,
    seeds: int,
    console: Console,
    ngrams: bool = False,
) -> dict[str, Any]:
    """Train every variant with every seed, and n-gram models on the same text where asked for.

    Returns, and writes as `result.json`, a row for each variant: the bits per byte of held-out text
    with a 95 % interval over the seeds, what it cost, and its curve, the mean of the seeds' (of an
    n-gram model: `validation`, what a curve would end with); and, where there are no n-gram models,
    its difference from the first variant's seed by seed.
    """
    first = variants[0].experiment
    if ngrams and is_packed(Path(first.data)):
        raise InputError("n-gram models count one corpus, and no mixture: give them other --data.")
    with open_run(directory):
        tune_cpu()
        trainings: dict[str, list[dict[str, Any]]] = {}
        texts: dict[str, Text] = {}
        for variant in variants:
            key = _text_key(variant.experiment)
            if key not in texts:
                texts[key] = make_text(variant.experiment, directory / f"text-{key}", console)
            said = to_dict(variant.experiment)
            folder = directory / "trainings" / sha256_json(said)[:12]
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "experiment.json", said)
            steps = affordable_steps(variant.experiment, folder)
            for seed in range(seeds):
                console.print(f"{variant.name}, seed {seed}", soft_wrap=True)
                at = folder / f"seed-{seed}"
                at.mkdir(exist_ok=True)
                facts = train_model(variant.experiment, texts[key], at, seed, steps, console)
                trainings.setdefault(variant.name, []).append(facts)
        base = None if ngrams else trainings[variants[0].name]
        rows = [_row(variant, trainings[variant.name], base) for variant in variants]
        if ngrams:
            text = texts[_text_key(first)]
            rows = [*_ngrams(first, text, directory, console), *rows]
        result = {
            "budget": first.budget,
            "seeds": seeds,
            "machine": machine_description(select_device(first.device, first.dtype)),
            "rows": rows,
        }
        write_json(directory / "result.json", result)
    return result


def _row(
    variant: Variant,
    trainings: Sequence[Mapping[str, Any]],
    base: Sequence[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """base: what the differences are from; None where there is nothing to compare with."""
    bits = [training["bits_per_byte"] for training in trainings]
    compared = base is not None and base is not trainings
    pairs = zip(trainings, base or trainings, strict=True)
    differences = [mine["bits_per_byte"] - theirs["bits_per_byte"] for mine, theirs in pairs]
    first = trainings[0]
    return {
        "name": variant.name,
        "setting": variant.setting,
        "seeds": bits,
        "bits_per_byte": _estimated(estimate(bits)),
        "difference": _estimated(estimate(differences)) if compared else None,
        "parameters": first["parameters"],
        "steps": first["steps"],
        "tokens": first["tokens"],
        "flops": first["flops"],
        "seconds": float(np.mean([training["seconds"] for training in trainings])),
        "curve": _mean_curve([training["curve"] for training in trainings]),
    }


def _estimated(value: Estimate) -> dict[str, float | None]:
    return {"mean": value.mean, "half_width": value.half_width}


def _text_key(experiment: Experiment) -> str:
    """The same for experiments that can share corpus, tokenizer and shards."""
    curate = to_dict(curated(experiment))
    return sha256_json([experiment.data, curate, to_dict(experiment.tokenizer)])[:8]


def _mean_curve(curves: Sequence[Sequence[Mapping[str, float]]]) -> list[dict[str, float]]:
    """Point by point; trainings of one variant are validated as often as each other."""
    return [
        {key: float(np.mean([point[key] for point in points])) for key in points[0]}
        for points in zip(*curves, strict=True)
    ]


def _ngrams(
    experiment: Experiment, text: Text, directory: Path, console: Console
) -> list[dict[str, Any]]:
    """Kneser–Ney models of orders 1 to 5 on the same tokens. They multiply no matrices."""
    train = text.train
    assert isinstance(train, TokenShards), "packed data were refused"
    rows = []
    for order in _ORDERS:
        folder = directory / "trainings" / f"{order}-gram-{_text_key(experiment)}"
        job = Job(Quickstart(data=experiment.data), folder, select_device("cpu"), console)

        def build(stage: Path, order: int = order) -> Mapping[str, Any]:
            config = NGram(order=order, vocab_size=text.tokenizer.vocab_size)
            model = train_ngram(config, _documents(train))
            model.save(stage / "model")
            shards, evaluation = text.validation, experiment.evaluation
            return {
                "bits_per_byte": _ngram_bits(
                    model, shards, documents_within(shards, evaluation.max_bytes)
                ),
                "validation": _ngram_bits(model, shards, experiment.pretrain.validation_documents),
                "parameters": sum(model.sizes),
                "tokens": len(train),
            }

        inputs = {"shards": text.fingerprint, "order": order}
        facts = job.stage("pretrain", inputs, build).facts
        rows.append(
            {
                "name": f"{order}-gram",
                "setting": "",
                "seeds": [facts["bits_per_byte"]],
                "bits_per_byte": {"mean": facts["bits_per_byte"], "half_width": None},
                "difference": None,
                "parameters": facts["parameters"],
                "steps": 1,
                "tokens": facts["tokens"],
                "flops": 0.0,
                "seconds": facts["seconds"],
                "curve": [],
                "validation": facts["validation"],
            }
        )
    return rows


def _ngram_bits(model: NGramModel, shards: TokenShards, documents: int) -> float:
    """Bits per byte of the first so many documents."""
    rows = itertools.islice(_documents(shards, model.begin, model.end), documents)
    nats = -sum(float(model.logprobs(ids).sum(dtype=np.float64)) for ids in rows)
    return nats / np.log(2) / int(shards.document_bytes[:documents].sum())


def _documents(
    shards: TokenShards, begin: int | None = None, end: int | None = None
) -> Iterator[np.ndarray]:
    """The ids of each document, without the end of text that the shards have after it; with a
    model's own marks of its begin and end, where they are given."""
    start = 0
    for stop in shards.document_ends.tolist():
        marks = ([] if mark is None else [mark] for mark in (begin, end))
        before, after = (np.array(mark, np.int64) for mark in marks)
        yield np.concatenate([before, shards.read(start, stop - start)[:-1], after])
        start = stop
