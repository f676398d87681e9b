"""The main job, from raw documents to a model that was taught, rewarded and measured.

    corpus → tokenizer → shards → plan → pretrain → fine-tune → GRPO, each measured → report

Each stage is a directory below the run's, finished by its manifest. A stage that is finished is
skipped; one that was killed goes on where it was. So the job can be killed at any moment and run
again, and ends with the same weights.
"""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from groundup.align.chat import END_OF_TEXT, encode_example, encode_request
from groundup.align.examples import read_examples, split_examples
from groundup.align.grpo import Task, grpo
from groundup.align.pairs import (
    Pair,
    extract_pairs,
    held_out_pairs,
    read_pairs,
    write_pairs,
)
from groundup.align.sft import fine_tune
from groundup.checkpoint import load_decoder
from groundup.core.config import save_config, to_dict
from groundup.core.device import Device, select_device, tune_cpu
from groundup.core.errors import InputError
from groundup.core.files import sha256_file, write_json, write_jsonl, write_text
from groundup.core.manifest import Manifest, read_manifest, run_stage
from groundup.core.memory import peak_memory_bytes, release_memory
from groundup.core.progress import progress_bar
from groundup.core.rundir import CONFIG, DONE, claim_config, open_run
from groundup.core.seeds import derive_seed
from groundup.curate import Source, curate, open_source, read_corpus
from groundup.curate.named_files import named_files
from groundup.data.shards import TokenShards, write_shards
from groundup.evals import Request, documents_within, measure_answers, measure_text
from groundup.infer import Engine, Sampling
from groundup.recipes.generating import ANSWER_TOKENS
from groundup.recipes.plan import HeldOut, Work, make_plan
from groundup.recipes.quickstart import Plan, Quickstart
from groundup.report.html import write_report
from groundup.report.summary import summarize
from groundup.report.terminal import print_plan
from groundup.scaling import parse_budget
from groundup.scaling.budget import usable_bytes
from groundup.tokenizers import Tokenizer, load_tokenizer, save_tokenizer, train_bpe
from groundup.train import pretrain
from groundup.train.probe import machine_description
from groundup.verifiers.loading import load_verifier
from groundup.verifiers.python_function import PythonFunction
from groundup.verifiers.verifier import Verifier

_SPLITS = ("train", "validation")
_HELD_OUT_EXAMPLES = 0.1  # share of a user's own examples that is kept for testing


def run_quickstart(config: Quickstart, directory: Path, console: Console) -> dict[str, Any]:
    """Do the whole job in `directory`, or what is left of it; returns the run's summary."""
    started = time.perf_counter()
    budget = parse_budget(config.budget)
    _refuse_contradictions(config, directory)
    source = open_source(config.data, reading=config.curate.reading)
    with open_run(directory):
        config = claim_config(directory, config, decided_later="plan")
        tune_cpu()
        job = Job(config, directory, select_device(config.device, config.dtype), console)
        write_json(directory / "machine.json", machine_description(job.device))

        corpus = make_corpus(job, source)
        tokenizer = make_tokenizer(job, corpus)
        shards = make_shards(job, corpus, tokenizer)
        pairs = make_pairs(job, corpus)

        if config.plan is None:
            work = _work(shards, pairs, tokenizer)
            plan = make_plan(config, budget, work, job.device, spent=time.perf_counter() - started)
            config = dataclasses.replace(config, plan=plan)
            save_config(directory / CONFIG, config)
            job = dataclasses.replace(job, config=config)
            print_plan(console, to_dict(config))

        model = make_base(job, shards, tokenizer)
        evaluate(job, "base", model, shards, pairs, tokenizer)
        if job.plan.sft:
            model = make_fine_tuned(job, model, pairs, tokenizer)
            evaluate(job, "sft", model, shards, pairs, tokenizer)
        if job.plan.grpo:
            for seed in range(config.grpo_seeds):
                rewarded = make_rewarded(job, seed, model, pairs, tokenizer)
                evaluate(job, f"grpo-seed-{seed}", rewarded, shards, pairs, tokenizer)

        summary = summarize(directory)
        write_json(directory / "summary.json", summary)
        write_report(directory)
        write_text(directory / DONE, "")
    return summary


def _refuse_contradictions(config: Quickstart, directory: Path) -> None:
    """What would fail, or surprise, only after minutes of work. Raises `InputError`."""
    data = Path(config.data).expanduser().resolve()
    if data.is_dir() and directory.resolve().is_relative_to(data):
        raise InputError(
            f"the run's folder {directory} lies inside --data {config.data}, which would read what "
            "runs write: choose another --runs."
        )
    if config.chat is not None:
        read_examples(Path(config.chat))
    if config.verifier is not None:
        load_verifier(config.verifier)
        if config.chat is None and config.data != "stdlib":
            raise InputError("--verifier needs --chat FILE: it holds the requests to reward.")


@dataclass(frozen=True)
class Job:
    """What every stage needs. directory: the run's."""

    config: Quickstart
    directory: Path
    device: Device
    console: Console

    @property
    def plan(self) -> Plan:
        assert self.config.plan is not None, "the stages after planning have a plan"
        return self.config.plan

    def stage(
        self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any]]
    ) -> Manifest:
        """Run or skip the stage `name`; its time and peak memory become part of its facts."""

        def measured(directory: Path) -> dict[str, Any]:
            release_memory()
            started = time.perf_counter()
            facts = build(directory)
            seconds = time.perf_counter() - started
            return {"seconds": seconds, "peak_memory_bytes": peak_memory_bytes(), **facts}

        manifest, built = run_stage(
            self.directory / name, kind=name.partition("/")[0], inputs=inputs, build=measured
        )
        state = f"{manifest.facts['seconds']:7.1f} s" if built else "already done"
        self.console.print(f"[bold]{name:22}[/bold] {state}")
        return manifest


@dataclass(frozen=True)
class Shards:
    """Token shards of both splits, and the fingerprint of what they hold."""

    train: TokenShards
    validation: TokenShards
    fingerprint: str


@dataclass(frozen=True)
class Pairs:
    """Requests and answers, both empty where the run ends after pretraining; and who judges."""

    train: list[Pair]
    held_out: list[Pair]
    fingerprint: str
    verifier: Verifier | None


def make_corpus(job: Job, source: Source) -> Manifest:
    """Documents: normalised, filtered, deduplicated, split by document."""
    config = job.config.curate
    if config.max_bytes is None:
        usable = usable_bytes(parse_budget(job.config.budget))
        config = dataclasses.replace(config, max_bytes=usable)
    held_out = None
    if config.held_out is not None:
        held_out = open_source(config.held_out, reading=config.reading)
    said = to_dict(config)
    inputs = {"source": source.fingerprint, "curate": said, "files": named_files(said)}
    if held_out is not None:
        inputs["held_out"] = held_out.fingerprint
    write_json(job.directory / "inputs.json", {"data": job.config.data, **inputs})

    def build(directory: Path) -> Mapping[str, Any]:
        with progress_bar(job.console, "curate", None) as advance:
            return curate(config, source, directory, advance, held_out)

    return job.stage("corpus", inputs, build)


def make_tokenizer(job: Job, corpus: Manifest) -> Tokenizer:
    """A byte-pair encoding of the training documents."""
    config = job.config.tokenizer

    def build(directory: Path) -> Mapping[str, Any]:
        with progress_bar(job.console, "tokenizer", config.vocab_size) as advance:
            tokenizer = train_bpe(
                _texts(job, "train"),
                vocab_size=config.vocab_size,
                pattern=config.pattern,
                special_tokens=config.special_tokens,
                progress=advance,
            )
        save_tokenizer(directory / "tokenizer.json", tokenizer)
        lengths = Counter(len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size))
        return {
            "vocab_size": tokenizer.vocab_size,
            "fingerprint": tokenizer.fingerprint,
            "token_lengths": {str(length): lengths[length] for length in sorted(lengths)},
        }

    inputs = {"corpus": corpus.fingerprint, "tokenizer": to_dict(config)}
    job.stage("tokenizer", inputs, build)
    return load_tokenizer(job.directory / "tokenizer" / "tokenizer.json")


def make_shards(job: Job, corpus: Manifest, tokenizer: Tokenizer) -> Shards:
    """The documents of both splits as token ids on disk."""
    inputs = {"corpus": corpus.fingerprint, "tokenizer": tokenizer.fingerprint}
    for split in _SPLITS:

        def build(directory: Path, split: str = split) -> Mapping[str, Any]:
            return write_shards(
                directory,
                _texts(job, split),
                tokenizer,
                end_of_text=tokenizer.special_tokens[END_OF_TEXT],
            )

        job.stage(f"shards/{split}", inputs, build)
    return open_shards(job.directory, tokenizer)


def open_shards(directory: Path, tokenizer: Tokenizer) -> Shards:
    """What `make_shards` has made in a run's folder."""
    train, validation = (directory / "shards" / split for split in _SPLITS)
    fingerprints = [read_manifest(split, "shards").fingerprint for split in (train, validation)]
    return Shards(
        TokenShards(train, tokenizer.fingerprint),
        TokenShards(validation, tokenizer.fingerprint),
        fingerprint=" ".join(fingerprints),
    )


def make_pairs(job: Job, corpus: Manifest) -> Pairs:
    """Requests with answers: the user's own, or docstrings with their functions from the corpus.

    Without either, and for own examples without a verifier, the stages that need them are left out.
    """
    config = job.config
    own = config.chat is not None
    if not own and config.data != "stdlib":
        return Pairs(train=[], held_out=[], fingerprint="", verifier=None)

    def build(directory: Path) -> Mapping[str, Any]:
        train, held_out = _own_pairs(config) if own else _corpus_pairs(job)
        write_pairs(directory / "train.jsonl", train)
        write_pairs(directory / "held_out.jsonl", held_out)
        return {"train": len(train), "held_out": len(held_out)}

    inputs = {"corpus": corpus.fingerprint}
    if config.chat is not None:
        inputs = {"chat": sha256_file(Path(config.chat))}
    manifest = job.stage("pairs", inputs, build)
    verifier = PythonFunction() if not own else None
    return Pairs(
        train=list(read_pairs(job.directory / "pairs" / "train.jsonl")),
        held_out=list(read_pairs(job.directory / "pairs" / "held_out.jsonl")),
        fingerprint=manifest.fingerprint,
        verifier=load_verifier(config.verifier) if config.verifier else verifier,
    )


def _own_pairs(config: Quickstart) -> tuple[list[Pair], list[Pair]]:
    assert config.chat is not None
    return split_examples(read_examples(Path(config.chat)), _HELD_OUT_EXAMPLES)


def _corpus_pairs(job: Job) -> tuple[list[Pair], list[Pair]]:
    """To train on: every function; to test with: those with a docstring, from held-out files."""
    corpus = job.directory / "corpus"
    train = list(extract_pairs(read_corpus(corpus / "train.jsonl"), undocumented=True))
    held_out = extract_pairs(read_corpus(corpus / "validation.jsonl"))
    return train, held_out_pairs(held_out, train)


def make_base(job: Job, shards: Shards, tokenizer: Tokenizer) -> Path:
    """Pretrain; returns the model's directory."""
    plan = job.plan

    def build(directory: Path) -> Mapping[str, Any]:
        return pretrain(
            plan.pretrain,
            plan.model,
            shards.train,
            shards.validation,
            directory,
            end_of_text=tokenizer.special_tokens[END_OF_TEXT],
            device=job.device,
            console=job.console,
        )

    inputs = {
        "shards": shards.fingerprint,
        "model": to_dict(plan.model),
        "pretrain": to_dict(plan.pretrain),
    }
    job.stage("pretrain", inputs, build)
    return job.directory / "pretrain" / "model"


def make_fine_tuned(job: Job, base: Path, pairs: Pairs, tokenizer: Tokenizer) -> Path:
    """Fine-tune the base model on the training pairs; returns the model's directory."""
    config = job.plan.sft
    assert config is not None

    def build(directory: Path) -> Mapping[str, Any]:
        examples = [encode_example(tokenizer, p.prompt, p.completion) for p in pairs.train]
        return fine_tune(
            config,
            load_decoder(base),
            examples,
            directory,
            device=job.device,
            console=job.console,
        )

    inputs = {"base": _weights(base), "pairs": pairs.fingerprint, "sft": to_dict(config)}
    job.stage("sft", inputs, build)
    return job.directory / "sft" / "model"


def make_rewarded(job: Job, seed: int, start: Path, pairs: Pairs, tokenizer: Tokenizer) -> Path:
    """Improve a model with the verifier's reward; returns the new model's directory."""
    assert job.plan.grpo is not None
    assert pairs.verifier is not None
    config = dataclasses.replace(job.plan.grpo, seed=derive_seed(job.config.seed, "grpo", seed))
    verifier = pairs.verifier

    def build(directory: Path) -> Mapping[str, Any]:
        tasks = [Task(encode_request(tokenizer, p.prompt), p.problem) for p in pairs.train]
        return grpo(
            config,
            load_decoder(start),
            load_decoder(start),
            tasks,
            verifier,
            tokenizer,
            directory,
            stop=tokenizer.special_tokens[END_OF_TEXT],
            device=job.device,
            console=job.console,
        )

    inputs = {"start": _weights(start), "pairs": pairs.fingerprint, "grpo": to_dict(config)}
    name = f"grpo-seed-{seed}"
    job.stage(name, inputs, build)
    return job.directory / name / "model"


def evaluate(
    job: Job, stage: str, model: Path, shards: Shards, pairs: Pairs, tokenizer: Tokenizer
) -> None:
    """Measure a stage's model on held-out text and held-out requests.

    Where there are no requests it continues the beginnings of held-out documents instead.
    """
    config = job.config.evaluation
    end = tokenizer.special_tokens[END_OF_TEXT]

    def build(directory: Path) -> Mapping[str, Any]:
        network = load_decoder(model).to(job.device.device)
        documents = documents_within(shards.validation, job.plan.measured_bytes)
        total = int(shards.validation.document_ends[documents - 1])
        with progress_bar(job.console, f"measure {stage}", total) as advance:
            text = measure_text(
                network,
                tokenizer,
                shards.validation,
                job.device,
                end_of_text=end,
                stride=config.stride,
                documents=documents,
                document_mask=job.plan.pretrain.document_mask,
                advance=advance,
            )
        engine = Engine(network, job.device, stop=[end])
        requests = [
            Request(prompt=p.prompt, tokens=encode_request(tokenizer, p.prompt), problem=p.problem)
            for p in pairs.held_out[: config.prompts]
        ] or [
            Request(prompt=opening, tokens=[end, *tokenizer.encode_ordinary(opening)], problem={})
            for opening in (document[:120] for document in islice(_texts(job, "validation"), 3))
        ]
        sampling = Sampling(
            max_tokens=job.plan.grpo.max_tokens if job.plan.grpo else ANSWER_TOKENS,
            temperature=config.temperature,
            seed=derive_seed(job.config.seed, "evaluation"),
        )
        answers, records = measure_answers(engine, tokenizer, requests, pairs.verifier, sampling)
        write_jsonl(directory / "completions.jsonl", records)
        return {**text, **answers}

    inputs = {
        "model": _weights(model),
        "shards": shards.fingerprint,
        "pairs": pairs.fingerprint,
        "evaluation": to_dict(config),
        "measured_bytes": job.plan.measured_bytes,
    }
    job.stage(f"evals/{stage}", inputs, build)


def _work(shards: Shards, pairs: Pairs, tokenizer: Tokenizer) -> Work:
    return Work(
        unique_tokens=len(shards.train),
        held_out=HeldOut(
            ends=shards.validation.document_ends.tolist(),
            bytes=int(shards.validation.document_bytes.sum()),
        ),
        examples=[encode_example(tokenizer, p.prompt, p.completion) for p in pairs.train],
        prompts=[encode_request(tokenizer, p.prompt) for p in pairs.train]
        if pairs.verifier
        else [],
        requests=[encode_request(tokenizer, p.prompt) for p in pairs.held_out],
    )


def _texts(job: Job, split: str) -> Iterator[str]:
    for document in read_corpus(job.directory / "corpus" / f"{split}.jsonl"):
        yield document.text


def _weights(model: Path) -> str:
    return sha256_file(model / "model.safetensors")
