"""Curation from end to end: a source in, `train.jsonl` and `validation.jsonl` out.

    read → the recipe's steps → (cut) → split

Documents stream through the steps, one in memory at a time. What is kept waits on disk until all
are known, because only then is it clear which of them make up the validation share; in memory
remain a digest, a name and a size for each.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from groundup.core.errors import InputError
from groundup.core.files import PARTIAL, atomic_file
from groundup.core.progress import Advance
from groundup.curate.any_step import StreamStep
from groundup.curate.cut import cut_document
from groundup.curate.document import Document, encode_document, read_corpus
from groundup.curate.duplicates.digest import content_digest
from groundup.curate.duplicates.steps import ExactDuplicates
from groundup.curate.normalize import Normalize, normalize_text
from groundup.curate.notes import Notes, lines_of, not_written, nothing_left
from groundup.curate.reading import DEFAULT_READING, Reading
from groundup.curate.rules.basic import Basic
from groundup.curate.sources import Source
from groundup.curate.split import at_least_one, choose_validation, falls_short
from groundup.curate.stages import READ, pass_steps, titles_of

REJECTED = "rejected.jsonl"
_HELD_OUT = "held out"  # the step that leaves out what is

_PART_SHARE = 0.2  # of the validation bytes: parts of that size fill the share to within a tenth
_MIN_PART_BYTES, _MAX_PART_BYTES = 2_000, 100_000


@dataclass(frozen=True, kw_only=True)
class Curate:
    """validation_share: of the bytes, kept from training. seed: of the split.

    held_out: documents that are the validation side instead, named as the data are; they are
    normalised, and otherwise as they stand. What is among them is not trained on.
    max_bytes: of text to take from the source, at a document's end; None takes it whole. A remote
    source downloads no further than that.
    reading: of the source's files, and of those that are held out.
    steps: that the documents pass. For larger corpora, and steps that ask for more than one stream,
    there is `curation`, whose result is a source.
    """

    validation_share: float = 0.05
    seed: int = 0
    held_out: str | None = None
    max_bytes: int | None = None
    reading: Reading = DEFAULT_READING
    steps: tuple[StreamStep, ...] = (Normalize(), Basic(), ExactDuplicates())

    def __post_init__(self) -> None:
        if not 0 < self.validation_share <= 0.5:
            raise ValueError("validation_share must be above 0 and at most 0.5")
        if self.max_bytes is not None and self.max_bytes <= 0:
            raise ValueError("max_bytes must be above 0")


def curate(
    config: Curate,
    source: Source,
    directory: Path,
    advance: Advance,
    held_out: Source | None = None,
) -> dict[str, Any]:
    """Fill `directory` with the curated documents of `source`; returns what is worth knowing.

    Writes `train.jsonl` and `validation.jsonl` (documents in the source's order) and
    `rejected.jsonl` (what was dropped, with step and reason). `advance` is told of every document
    that is kept. held_out: what `config` calls so. The facts are

    source, licence, fingerprint: of the source.
    complete: whether the source ended before `max_bytes` were read.
    funnel: the notes of each step.
    train, validation: documents and bytes of each side.

    Raises `InputError` where nothing usable was found, or not enough for two sides.
    """
    waiting, parts, apart = (
        directory / f"{name}.jsonl{PARTIAL}" for name in ("kept", "parts", "held")
    )
    try:
        held = _held(held_out, apart, advance) if held_out is not None else None
        with atomic_file(directory / REJECTED, "w") as rejected:
            first = (READ,) if held is None else (READ, _HELD_OUT)
            titles = (*first, *titles_of(config.steps))
            notes = [Notes(title, lines_of(rejected)) for title in titles]
            read = _take(source.documents(notes[0].reject, advance), config.max_bytes)
            passed = notes[0].passed(read)
            if held is not None:
                passed = notes[1].passed(_without(passed, held.whole, notes[1]))
            left = pass_steps(passed, config.steps, notes[len(first) :])
            kept = _store(waiting, left, advance)
        if not kept.digests:
            funnel = [own.as_dict() for own in notes]
            raise InputError(nothing_left(source.name, funnel, directory / REJECTED))
        if held is not None:
            sides = _write_apart(kept, held.parts, directory)
        else:
            chosen = choose_validation(kept.sizes(), config.validation_share, config.seed)
            if falls_short(chosen, kept.sizes(), config.validation_share):
                notes.append(Notes("cut", not_written))
                kept = _store(parts, notes[-1].passed(_cut(kept, config)), advance)
                chosen = choose_validation(kept.sizes(), config.validation_share, config.seed)
            chosen = at_least_one(chosen, kept.sizes(), source.name)
            sides = _write_sides(kept, chosen, directory)
    finally:
        for path in (waiting, parts, apart):
            path.unlink(missing_ok=True)
    return {
        "source": source.name,
        "licence": source.licence,
        "fingerprint": source.fingerprint,
        "complete": config.max_bytes is None or notes[0].bytes < config.max_bytes,
        "funnel": [own.as_dict() for own in notes],
        **sides,
    }


def _take(documents: Iterable[Document], max_bytes: int | None) -> Iterator[Document]:
    taken = 0
    for document in documents:
        taken += document.size
        yield document
        if max_bytes is not None and taken >= max_bytes:
            return


@dataclass(frozen=True)
class _Kept:
    """Documents that wait on disk, a line each, and what the split must know of each of them."""

    path: Path
    digests: list[bytes]
    byte_counts: list[int]

    def sizes(self) -> dict[bytes, int]:
        """Content digest → bytes of the documents with that content."""
        sizes: dict[bytes, int] = {}
        for digest, size in zip(self.digests, self.byte_counts, strict=True):
            sizes[digest] = sizes.get(digest, 0) + size
        return sizes


def _store(path: Path, documents: Iterable[Document], advance: Advance) -> _Kept:
    kept = _Kept(path, [], [])
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for document in documents:
            file.write(encode_document(document))
            kept.digests.append(content_digest(document.text))
            kept.byte_counts.append(document.size)
            advance(1)
    return kept


def _cut(kept: _Kept, config: Curate) -> Iterator[Document]:
    target = sum(kept.byte_counts) * config.validation_share
    part = min(max(_MIN_PART_BYTES, int(target * _PART_SHARE)), _MAX_PART_BYTES)
    for document in read_corpus(kept.path):
        yield from cut_document(document, part)


class _Held(NamedTuple):
    """What is held out: the documents, the long ones in parts, and digests of the whole ones."""

    parts: _Kept
    whole: set[bytes]


def _held(source: Source, path: Path, advance: Advance) -> _Held:
    whole = set[bytes]()

    def reject(document: Document, reason: str) -> None:
        raise InputError(f"the held-out {document.id} {reason}: mend it, or leave it out.")

    def parts() -> Iterator[Document]:
        documents = source.documents(reject, advance)
        for document in Normalize().apply(documents, Notes(READ, not_written)):
            whole.add(content_digest(document.text))
            yield from cut_document(document, _MAX_PART_BYTES)

    held = _store(path, parts(), advance)
    if not held.digests:
        raise InputError(f"{source.name} holds no document to measure with.")
    return _Held(held, whole)


def _without(documents: Iterable[Document], held: set[bytes], notes: Notes) -> Iterator[Document]:
    for document in documents:
        if content_digest(normalize_text(document.text)) in held:
            notes.reject(document, "is held out")
        else:
            yield document


def _write_apart(kept: _Kept, held: _Kept, directory: Path) -> dict[str, dict[str, int]]:
    """Training on what is not held out; a part of a held-out document may be one here, too."""
    apart = set(held.digests)
    with (
        open(kept.path, "rb") as lines,
        open(held.path, "rb") as held_lines,
        atomic_file(directory / "train.jsonl") as train,
        atomic_file(directory / "validation.jsonl") as validation,
    ):
        sizes = []
        for line, digest, size in zip(lines, kept.digests, kept.byte_counts, strict=True):
            if digest not in apart:
                train.write(line)
                sizes.append(size)
        validation.writelines(held_lines)
    if not sizes:
        raise InputError("all documents are held out, and none is left to train on.")
    return {
        "train": {"documents": len(sizes), "bytes": sum(sizes)},
        "validation": {"documents": len(held.digests), "bytes": sum(held.byte_counts)},
    }


def _write_sides(kept: _Kept, chosen: set[bytes], directory: Path) -> dict[str, dict[str, int]]:
    counts = {side: {"documents": 0, "bytes": 0} for side in ("train", "validation")}
    with (
        open(kept.path, "rb") as lines,
        atomic_file(directory / "train.jsonl") as train,
        atomic_file(directory / "validation.jsonl") as validation,
    ):
        files = {"train": train, "validation": validation}
        for line, digest, size in zip(lines, kept.digests, kept.byte_counts, strict=True):
            side = "validation" if digest in chosen else "train"
            files[side].write(line)
            counts[side]["documents"] += 1
            counts[side]["bytes"] += size
    return counts
