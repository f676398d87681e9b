"""One model from documents, for a budget: the job of `groundup train`, and of every training in a
comparison.

    documents → corpus → tokenizer → shards → as many steps as the budget pays for → bits per byte

Like the main job it goes on where it was killed, and a finished stage is not done again.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from groundup.align.chat import END_OF_TEXT
from groundup.core.config import to_dict
from groundup.core.device import Device, select_device, tune_cpu
from groundup.core.errors import InputError
from groundup.core.files import read_json, write_json
from groundup.core.manifest import MANIFEST, read_manifest
from groundup.core.mesh import Mesh
from groundup.core.metrics import read_metrics
from groundup.core.processes import ONE, Group, joined
from groundup.core.progress import make_console
from groundup.core.rundir import claim_config, open_run
from groundup.core.seeds import derive_seed
from groundup.curate import Curate, open_source
from groundup.data.batches import check_share
from groundup.data.mixture import Source
from groundup.data.shards import TokenShards
from groundup.evals import documents_within
from groundup.models import LanguageModel, training_flops
from groundup.packing import PACKED, is_packed, open_packed
from groundup.parallel.parallelism import REPLICATED, Parallelism
from groundup.pipeline import Job, Shards, make_corpus, make_shards, make_tokenizer, open_shards
from groundup.recipes.experiment import Experiment
from groundup.recipes.quickstart import Quickstart
from groundup.scaling import parse_budget
from groundup.scaling.budget import usable_bytes
from groundup.tokenizers import Tokenizer, find_tokenizer, load_tokenizer, save_tokenizer
from groundup.train import Pretrain, bits_per_byte, pretrain
from groundup.train.compile import worth_compiling
from groundup.train.probe import machine_description, probe_step

_PROBED_TOGETHER = 5  # steps, since several processes must agree on when to stop


@dataclass(frozen=True)
class Text:
    """What models are trained on and measured with: one corpus, or several that are mixed. end:
    the token behind each document. fingerprint: of the shards."""

    tokenizer: Tokenizer
    end: int
    train: TokenShards | Sequence[Source]
    validation: TokenShards
    fingerprint: str


def run_training(
    experiment: Experiment,
    directory: Path,
    console: Console,
    parallelism: Parallelism = REPLICATED,
) -> dict[str, Any]:
    """Train one model in `directory`, or do what is left of it; returns what it cost and gained.

    Where `torchrun` has launched several processes, they train it together, on a file system that
    they share; the first one makes the data before the others look at them. parallelism: how.
    """
    experiment = consistent(experiment)
    if not is_packed(Path(experiment.data)):
        # What is not there is refused before anything is written.
        open_source(experiment.data, reading=experiment.curate.reading)
    tune_cpu()
    device = select_device(experiment.device, experiment.dtype)
    with joined(device.device) as group, ExitStack() as held:
        check_share(experiment.pretrain.batch, parallelism.readers(group.size))
        parallelism.check(experiment.model, group.size)
        with group.first_alone("text"):
            if group.rank == 0:
                held.enter_context(open_run(directory))
                claim_config(directory, experiment)
                write_json(directory / "machine.json", machine_description(device))
                text = make_text(experiment, directory, console)
            else:
                text = open_text(experiment, directory)
                console = make_console(quiet=True)
        steps = affordable_steps(experiment, directory, group, parallelism)
        seed = experiment.seed
        facts = train_model(experiment, text, directory, seed, steps, console, group, parallelism)
        result = {"run": str(directory), **facts}
        if group.rank == 0:
            write_json(directory / "result.json", result)
        group.barrier()
    return result


def consistent(experiment: Experiment) -> Experiment:
    """The same, with as many tokens in the model as in the tokenizer."""
    size = experiment.tokenizer.vocab_size
    if is_packed(packed := Path(experiment.data)):
        size = read_manifest(packed, PACKED).facts["vocab_size"]
    return dataclasses.replace(
        experiment, model=dataclasses.replace(experiment.model, vocab_size=size)
    )


def curated(experiment: Experiment) -> Curate:
    """With a bound of the text that the budget can use, where there is none."""
    most = experiment.curate.max_bytes or usable_bytes(parse_budget(experiment.budget))
    return dataclasses.replace(experiment.curate, max_bytes=most)


def make_text(experiment: Experiment, folder: Path, console: Console) -> Text:
    """Corpus, tokenizer and shards, in `folder`; of packed data the tokenizer alone."""
    if is_packed(packed := Path(experiment.data)):
        save_tokenizer(folder / "tokenizer" / "tokenizer.json", find_tokenizer(packed))
        return open_text(experiment, folder)
    config = Quickstart(
        data=experiment.data,
        budget=experiment.budget,
        seed=experiment.seed,
        curate=curated(experiment),
        tokenizer=experiment.tokenizer,
        device=experiment.device,
        dtype=experiment.dtype,
    )
    folder.mkdir(exist_ok=True)
    job = Job(config, folder, select_device(config.device, config.dtype), console)
    corpus = make_corpus(job, open_source(config.data, reading=config.curate.reading))
    tokenizer = make_tokenizer(job, corpus)
    return _of_shards(tokenizer, make_shards(job, corpus, tokenizer))


def open_text(experiment: Experiment, folder: Path) -> Text:
    """What `make_text` has made, or packed data."""
    if is_packed(packed := Path(experiment.data)):
        found = open_packed(packed)
        return Text(found.tokenizer, found.end, found.train, found.validation, found.fingerprint)
    tokenizer = load_tokenizer(folder / "tokenizer" / "tokenizer.json")
    return _of_shards(tokenizer, open_shards(folder, tokenizer))


def _of_shards(tokenizer: Tokenizer, shards: Shards) -> Text:
    end = tokenizer.special_tokens[END_OF_TEXT]
    return Text(tokenizer, end, shards.train, shards.validation, shards.fingerprint)


def affordable_steps(
    experiment: Experiment,
    folder: Path,
    group: Group = ONE,
    parallelism: Parallelism = REPLICATED,
) -> int:
    """How many steps the budget pays for. A measured one is kept in `folder`, so that all seeds
    train as long as each other and a resumed training goes on as it was begun."""
    device = select_device(experiment.device, experiment.dtype)
    config = pretraining(experiment, device)
    budget = parse_budget(experiment.budget)
    context = experiment.model.context
    if budget.flops is not None:
        micro_batch = config.batch * training_flops(experiment.model, context)
        steps = config.steps_within(int(budget.flops / micro_batch))
    else:
        kept = folder / "step_seconds.json"
        if group.of_first(kept.exists()):
            step_seconds = read_json(kept)["step_seconds"]
        else:
            repeats = None if group.size == 1 else _PROBED_TOGETHER
            probe = probe_step(config, experiment.model, device, repeats, group, parallelism)
            step_seconds = probe.step_seconds
            if group.rank == 0:
                write_json(kept, {"step_seconds": step_seconds})
        micro_batches = (budget.seconds or 0.0) / step_seconds * config.accumulation
        steps = config.steps_within(int(micro_batches))
    if steps < 1:
        raise InputError(f"a budget of {experiment.budget} is less than one step: give more.")
    return steps


def train_model(
    experiment: Experiment,
    text: Text,
    folder: Path,
    seed: int,
    steps: int,
    console: Console,
    group: Group = ONE,
    parallelism: Parallelism = REPLICATED,
) -> dict[str, Any]:
    """One training in `folder`, or what is there of it; its facts, with its curve.

    Its time is that of the steps but the first, which compiles; validations do not count.
    """
    device = select_device(experiment.device, experiment.dtype)
    config = dataclasses.replace(
        pretraining(experiment, device),
        steps=steps,
        seed=derive_seed(experiment.seed, "experiment", seed),
    )
    job = Job(Quickstart(data=experiment.data), folder, device, console)

    def measure(model: LanguageModel, mesh: Mesh) -> dict[str, float]:
        """Of the finished model, of which a process may have but a part: on the documents of the
        validations, and on those of the evaluation."""
        validated = bits_per_byte(
            model,
            text.validation,
            device,
            end_of_text=text.end,
            documents=config.validation_documents,
            document_mask=config.document_mask,
            mesh=mesh,
        )
        measured = _measured(experiment, model, text, device, mesh)
        return {"validated": validated, "bits_per_byte": measured}

    def build(stage: Path) -> Mapping[str, Any]:
        facts = pretrain(
            config,
            experiment.model,
            text.train,
            text.validation,
            stage,
            end_of_text=text.end,
            device=device,
            console=console,
            group=group,
            parallelism=parallelism,
            measure=measure,
        )
        per_token = training_flops(experiment.model, experiment.model.context)
        per_token /= experiment.model.context
        validated = facts.pop("validated")
        curve = [*_curve(stage / "metrics.jsonl", facts["tokens"], validated)]
        return {
            **facts,
            "flops": facts["tokens"] * per_token,
            "seconds": curve[-1]["seconds"],
            "curve": [{"flops": point.pop("tokens") * per_token, **point} for point in curve],
        }

    inputs = {
        "shards": text.fingerprint,
        "model": to_dict(experiment.model),
        "pretrain": to_dict(config),
        "evaluation": to_dict(experiment.evaluation),
    }
    stage = folder / "pretrain"
    finished = group.of_first((stage / MANIFEST).exists())
    if group.rank and not finished:
        build(stage)
    facts = dict(job.stage("pretrain", inputs, build).facts) if group.rank == 0 else {}
    group.barrier()
    return facts or dict(read_manifest(stage, "pretrain").facts)


def pretraining(experiment: Experiment, device: Device) -> Pretrain:
    """The training that is asked for, compiled where `auto` means that."""
    worth_it = worth_compiling(experiment.model, device)
    compiles = {"auto": worth_it, "yes": True, "no": False}
    return dataclasses.replace(experiment.pretrain, compile=compiles[experiment.compile])


def _curve(path: Path, tokens: int, last: float) -> Iterator[dict[str, float]]:
    """Tokens, seconds and bits per byte of each validation, and of one after the last step.

    last: bits per byte of the finished model, on the documents of the validations.
    """
    seconds, before = 0.0, None
    for record in read_metrics(path):
        if "validation_bits_per_byte" in record:
            bits = record["validation_bits_per_byte"]
            yield {"tokens": record["tokens"], "seconds": seconds, "bits_per_byte": bits}
        elif before is not None:
            seconds += record["seconds"] - before
        before = record["seconds"]
    yield {"tokens": tokens, "seconds": seconds, "bits_per_byte": last}


def _measured(
    experiment: Experiment, model: LanguageModel, text: Text, device: Device, mesh: Mesh
) -> float:
    evaluation, validation = experiment.evaluation, text.validation
    return bits_per_byte(
        model,
        validation,
        device,
        end_of_text=text.end,
        stride=min(evaluation.stride, model.config.context),
        documents=documents_within(validation, evaluation.max_bytes),
        document_mask=experiment.pretrain.document_mask,
        mesh=mesh,
    )
