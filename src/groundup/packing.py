"""Documents of many sources as token shards, with the shares in which a training mixes them.

    each source → parts → tasks: how often each document occurs, which are held out, tokens
        → train/SOURCE/, validation/ → what each source gives of a training's tokens

Tasks run in the processes of an engine, as curation's do, and a killed run goes on with those that
are not finished. The shards of a part depend on nothing else, so the bytes are the same whatever
the processes. Nothing is copied to weigh a source more: a training reads it more often, by its
share (`data.mixture`).
"""

import hashlib
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console

from groundup.core.config import to_dict
from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import read_json, write_json
from groundup.core.manifest import MANIFEST, Manifest, read_manifest, run_stage
from groundup.core.progress import progress_bar, stand_still
from groundup.core.rundir import claim_config, open_run
from groundup.core.seeds import derive_seed
from groundup.curate.copies import Copies
from groundup.curate.document import Document
from groundup.curate.engines.engine import Engine
from groundup.curate.reading import DEFAULT_READING, Reading
from groundup.curate.sources import Source, open_source, parts_of
from groundup.curate.step import Task
from groundup.data import mixture
from groundup.data.proportions import claims_by_size, proportions
from groundup.data.shards import TokenShards, join_shards, write_shards
from groundup.tokenizers import Tokenizer, find_tokenizer, load_tokenizer, save_tokenizer

PACKED = "packed"
_INPUTS, _FACTS = "inputs.json", "facts.json"
_TRAIN, _VALIDATION = "train", "validation"
_ONCE = Copies(field="", scores=(0.0,), copies=(1.0,))


@dataclass(frozen=True, kw_only=True)
class PackedSource:
    """data: the folder of a finished curation, or anything else that --data takes. name: of its
    folder of shards. weight, epochs: see `Packing`. copies: how often a document occurs in an
    epoch; None: once."""

    data: str
    name: str
    reading: Reading = DEFAULT_READING
    weight: float | None = None
    epochs: float | None = None
    copies: Copies | None = None

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError("the name of a source is that of a folder")
        if not all(value is None or 0 < value < math.inf for value in (self.weight, self.epochs)):
            raise ValueError("weights and epochs are above 0")


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How sources become tokens, and how these are mixed.

    tokenizer: a tokenizer.json, or the folder of a run that has one. end_of_text: the special token
    behind each document. tokens: that a training is to take; None: as many as it takes to read
    every source as often as `epochs` says, or as many as there are.

    Either all sources have a weight, which is their share of the tokens, or all have epochs, or
    none of them has either: then their sizes decide, flattened by a temperature (see
    `data.proportions`). No source is read more than `max_epochs` times, unless its epochs say so.

    validation_share: of each source's documents, chosen by their content, which are held out.
    shard_bytes: of a source's files, for one task (None: see `parts_of`); a file is never divided.
    """

    sources: tuple[PackedSource, ...]
    tokenizer: str
    end_of_text: str = "<|endoftext|>"
    tokens: int | None = None
    temperature: float = 1.0
    max_epochs: float = 4.0
    validation_share: float = 0.005
    seed: int = 0
    shard_bytes: int | None = None

    def __post_init__(self) -> None:
        names = {source.name for source in self.sources}
        if not names or len(names) < len(self.sources):
            raise ValueError("there is at least one source, and each has a name of its own")
        for what in ("weight", "epochs"):
            if len({getattr(source, what) is None for source in self.sources}) > 1:
                raise ValueError(f"either all sources have {what}, or none has")
        if self.weighted and self.counted:
            raise ValueError("sources have a weight or epochs, not both")
        if self.temperature <= 0 or self.max_epochs <= 0:
            raise ValueError("temperature and max_epochs are above 0")
        if self.tokens is not None and self.tokens < 1:
            raise ValueError("tokens are above 0")
        if not 0 < self.validation_share <= 0.5:
            raise ValueError("validation_share is above 0 and at most 0.5")
        if self.shard_bytes is not None and self.shard_bytes < 1:
            raise ValueError("shard_bytes must be above 0")

    @property
    def weighted(self) -> bool:
        return self.sources[0].weight is not None

    @property
    def counted(self) -> bool:
        """Whether epochs decide."""
        return self.sources[0].epochs is not None


@dataclass(frozen=True)
class Packed:
    """What a training reads of a packed folder. end: the token behind each document."""

    tokenizer: Tokenizer
    end: int
    train: list[mixture.Source]
    validation: TokenShards
    fingerprint: str


def run_packing(config: Packing, directory: Path, engine: Engine, console: Console) -> Manifest:
    """Fill `directory`, or go on where an earlier run of the same config was cut off.

    At the end there are `tokenizer/`, `train/NAME/` for each source, `validation/`, which has the
    held out documents of all, and `facts` of the manifest:

    tokens: that shares and epochs are for. vocab_size: of the tokenizer. end_of_text: its token.
    sources: of each its `name`, `documents`, what of it was `unreadable` and was `held_out`; how
        many documents were written (`copies`), their `bytes` and `tokens`; the tokens that it
        `gives`, its `share` of all, and the `epochs` that this takes.
    validation: documents, bytes and tokens.

    Raises `InputError` where a source has no documents, or too few for what is asked.
    """
    sources = {one.name: open_source(one.data, reading=one.reading) for one in config.sources}
    tokenizer = find_tokenizer(Path(config.tokenizer))
    if config.end_of_text not in tokenizer.special_tokens:
        raise InputError(
            f"{config.tokenizer} has no special token {config.end_of_text}: set end_of_text to one "
            f"that it has ({', '.join(tokenizer.special_tokens) or 'there are none'})."
        )
    inputs: dict[str, Any] = {
        "sources": {name: source.fingerprint for name, source in sources.items()},
        "tokenizer": tokenizer.fingerprint,
    }
    with open_run(directory):
        claim_config(directory, config)
        if not (directory / _INPUTS).exists():
            write_json(directory / _INPUTS, inputs)
        elif read_json(directory / _INPUTS) != inputs:
            raise ArtifactError(
                f"{directory} was made of other documents, or with another tokenizer: choose "
                "another --name, or delete that folder."
            )

        def build(folder: Path) -> dict[str, Any]:
            save_tokenizer(_tokenizer_file(folder), tokenizer)
            return _build(config, sources, tokenizer, folder, engine, console)

        manifest, _ = run_stage(
            directory, kind=PACKED, inputs={**inputs, "packing": to_dict(config)}, build=build
        )
    return manifest


def is_packed(directory: Path) -> bool:
    """Whether `run_packing` has filled this folder."""
    path = directory / MANIFEST
    return path.is_file() and read_json(path).get("kind") == PACKED


def open_packed(directory: Path) -> Packed:
    """What `run_packing` made."""
    manifest = read_manifest(directory, PACKED)
    tokenizer = load_tokenizer(_tokenizer_file(directory))
    return Packed(
        tokenizer,
        tokenizer.special_tokens[manifest.facts["end_of_text"]],
        [
            mixture.Source(
                shards=TokenShards(directory / _TRAIN / source["name"], tokenizer.fingerprint),
                weight=source["share"],
            )
            for source in manifest.facts["sources"]
        ],
        TokenShards(directory / _VALIDATION, tokenizer.fingerprint),
        manifest.fingerprint,
    )


def pack_part(
    part: Source, how: PackedSource, config: Packing, tokenizer: Path, threads: int | None, to: Path
) -> None:
    """Write the shards of some of a source's files: `train/` and `validation/`, where there are
    documents for them, and `facts.json` when all is there."""
    if (to / _FACTS).exists():
        return
    shutil.rmtree(to, ignore_errors=True)
    loaded = load_tokenizer(tokenizer)
    end = loaded.special_tokens[config.end_of_text]
    reading = _Reading(part, how.copies or _ONCE, config)
    facts: dict[str, Any] = {}
    for side, texts in ((_TRAIN, reading.texts()), (_VALIDATION, iter(reading.held_out))):
        first = next(texts, None)
        facts[side] = dict.fromkeys(("documents", "bytes", "tokens"), 0)
        if first is not None:
            texts = chain([first], texts)
            facts[side] = write_shards(to / side, texts, loaded, end_of_text=end, threads=threads)
    facts |= {"documents": reading.documents, "unreadable": reading.unreadable}
    write_json(to / _FACTS, facts)


@dataclass
class _Reading:
    """The documents of a part, and what is seen of them on the way. held_out: their texts, complete
    when the others have been read."""

    part: Source
    copies: Copies
    config: Packing
    documents: int = 0
    unreadable: int = 0
    held_out: list[str] = field(default_factory=list)

    def texts(self) -> Iterator[str]:
        """Those that are not held out; then those that occur twice, and so on: copies of a text are
        far from each other."""
        for document in self.part.documents(self._reject, stand_still):
            self.documents += 1
            if self._is_held_out(document):
                self.held_out.append(document.text)
            elif self.copies.of(document, self.config.seed):
                yield document.text
        for number in range(1, self.copies.most):
            for document in self.part.documents(_ignore, stand_still):
                copies = self.copies.of(document, self.config.seed)
                if copies > number and not self._is_held_out(document):
                    yield document.text

    def _is_held_out(self, document: Document) -> bool:
        key = derive_seed(self.config.seed, "held out").to_bytes(8, "big")
        digest = hashlib.blake2b(document.text.encode("utf-8"), digest_size=8, key=key).digest()
        return int.from_bytes(digest, "big") < self.config.validation_share * 2**64

    def _reject(self, _document: Document, _reason: str) -> None:
        self.unreadable += 1


def _build(
    config: Packing,
    sources: Mapping[str, Source],
    tokenizer: Tokenizer,
    directory: Path,
    engine: Engine,
    console: Console,
) -> dict[str, Any]:
    finished = directory / _FACTS  # by a run that was killed while it took leave of `work/`
    if finished.exists():
        shutil.rmtree(directory / "work", ignore_errors=True)
        return read_json(finished)
    folders: dict[str, list[Path]] = {}
    calls: list[tuple[Source, PackedSource, Path]] = []
    for how in config.sources:
        parts = parts_of(sources[how.name], config.shard_bytes)
        folders[how.name] = [directory / "work" / how.name / f"{n:05}" for n in range(len(parts))]
        calls += [(part, how, to) for part, to in zip(parts, folders[how.name], strict=True)]
    threads = None if len(calls) == 1 else 1  # the only task has all processors
    file = _tokenizer_file(directory)
    tasks = [Task(pack_part, (part, how, config, file, threads, to)) for part, how, to in calls]
    with progress_bar(console, "pack", len(tasks)) as advance:
        engine.run(tasks, advance)

    rows = [_facts_of(name, parts) for name, parts in folders.items()]
    taken = _mix(config, rows)
    if not (held_out := _that_have(_VALIDATION, [*chain(*folders.values())])):
        documents = sum(row["documents"] for row in rows)
        raise InputError(
            f"none of {documents:,} documents is held out: give a larger validation_share."
        )
    validation = join_shards(held_out, directory / _VALIDATION)
    for name, parts in folders.items():
        join_shards(_that_have(_TRAIN, parts), directory / _TRAIN / name)
    facts = {
        "tokens": taken,
        "vocab_size": tokenizer.vocab_size,
        "end_of_text": config.end_of_text,
        "sources": rows,
        "validation": validation,
    }
    write_json(finished, facts)
    shutil.rmtree(directory / "work")
    return facts


def _facts_of(name: str, parts: Sequence[Path]) -> dict[str, Any]:
    """What the parts of a source have together."""
    facts = [read_json(part / _FACTS) for part in parts]
    total = {key: sum(fact[key] for fact in facts) for key in ("documents", "unreadable")}
    train = {key: sum(fact[_TRAIN][key] for fact in facts) for key in facts[0][_TRAIN]}
    held_out = sum(fact[_VALIDATION]["documents"] for fact in facts)
    if not train["tokens"]:
        raise InputError(f"{name} has no document to train on.")
    copies = train.pop("documents")
    return {"name": name, **total, "held_out": held_out, "copies": copies, **train}


def _mix(config: Packing, rows: list[dict[str, Any]]) -> int:
    """Add to each source's row what it gives, its share and its epochs; returns all tokens."""
    sizes = [row["tokens"] for row in rows]
    default, cap = sum(sizes), config.max_epochs
    if config.counted:
        pairs = zip(config.sources, sizes, strict=True)
        claims = [(source.epochs or 0) * size for source, size in pairs]
        default, cap = round(sum(claims)), math.inf
    elif config.weighted:
        claims = [source.weight or 0 for source in config.sources]
    else:
        claims = claims_by_size(sizes, config.temperature)
    tokens = config.tokens or default
    for row, found in zip(rows, proportions(sizes, claims, tokens, cap), strict=True):
        row |= {"gives": found.tokens, "share": found.share, "epochs": found.epochs}
        if found.share * mixture.PARTS < 1:
            raise InputError(
                f"{row['name']} would give less than a {mixture.PARTS:,}th of the tokens: give it "
                "a larger share, or leave it out."
            )
    return tokens


def _that_have(side: str, parts: Sequence[Path]) -> list[Path]:
    return [part / side for part in parts if read_json(part / _FACTS)[side]["documents"]]


def _tokenizer_file(directory: Path) -> Path:
    return directory / "tokenizer" / "tokenizer.json"


def _ignore(_document: Document, _reason: str) -> None:
    """What was counted when it was read for the first time."""
