"""Curation from end to end: a source in, `train.jsonl` and `validation.jsonl` out.

    read → normalise → rules → deduplicate → (cut) → split

Documents stream through the steps, one in memory at a time. What is kept waits on disk until all
are known, because only then is it clear which of them make up the validation share; in memory
remain a digest, a name and a size for each.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.core.errors import InputError
from groundup.core.files import PARTIAL, atomic_file
from groundup.core.progress import Advance
from groundup.curate.cut import cut_document
from groundup.curate.deduplicate import content_digest, deduplicate
from groundup.curate.document import Document, Reject, encode_document, read_corpus
from groundup.curate.funnel import Funnel
from groundup.curate.normalize import normalize
from groundup.curate.rules.basic import Basic
from groundup.curate.rules.rule import Limits, Rule, rules_of
from groundup.curate.rules.text_view import TextView
from groundup.curate.sources import Source
from groundup.curate.split import at_least_one, choose_validation, falls_short

REJECTED = "rejected.jsonl"

# what the funnel calls the rules of `Basic`, in their order
_RULES = ("too short", "control characters", "long line", "repetitive", "few letters")

_PART_SHARE = 0.2  # of the validation bytes: parts of that size fill the share to within a tenth
_MIN_PART_BYTES, _MAX_PART_BYTES = 2_000, 100_000


@dataclass(frozen=True, kw_only=True)
class Curate:
    """validation_share: of the bytes, kept from training. seed: of the split.

    max_bytes: of text to take from the source, at a document's end; None takes it whole. A remote
    source downloads no further than that.
    The other limits are explained with the rules of `Basic`.
    """

    validation_share: float = 0.05
    seed: int = 0
    max_bytes: int | None = None
    min_chars: int = 20
    max_control_share: float = 0.01
    max_line_chars: int = 100_000
    max_repeated_share: float = 0.5
    min_letter_share: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.validation_share <= 0.5:
            raise ValueError("validation_share must be above 0 and at most 0.5")
        if self.max_bytes is not None and self.max_bytes <= 0:
            raise ValueError("max_bytes must be above 0")

    def rules(self) -> Basic:
        """The rules with these limits."""
        return Basic(
            characters=Limits(min=self.min_chars),
            control_characters=Limits(max=self.max_control_share),
            longest_line=Limits(max=self.max_line_chars),
            duplicate_line_characters=Limits(max=self.max_repeated_share),
            visible_letters=Limits(min=self.min_letter_share),
        )


def curate(config: Curate, source: Source, directory: Path, advance: Advance) -> dict[str, Any]:
    """Fill `directory` with the curated documents of `source`; returns what is worth knowing.

    Writes `train.jsonl` and `validation.jsonl` (documents in the source's order) and
    `rejected.jsonl` (what was dropped, with step and reason). `advance` is told of every document
    that is kept. The facts are

    source, licence, fingerprint: of the source.
    complete: whether the source ended before `max_bytes` were read.
    funnel: a row a step with its name, documents and bytes that passed, documents dropped.
    train, validation: documents and bytes of each side.

    Raises `InputError` where nothing usable was found, or not enough for two sides.
    """
    waiting = directory / f"kept.jsonl{PARTIAL}"
    parts = directory / f"parts.jsonl{PARTIAL}"
    try:
        with atomic_file(directory / REJECTED, "w") as rejected:
            funnel = Funnel(rejected)
            kept = _store(waiting, _steps(config, source, funnel, advance), advance)
        if not kept.digests:
            raise InputError(_nothing_left(source, funnel, directory))
        chosen = choose_validation(kept.sizes(), config.validation_share, config.seed)
        if falls_short(chosen, kept.sizes(), config.validation_share):
            kept = _store(parts, funnel.after("cut", _cut(kept, config)), advance)
            chosen = choose_validation(kept.sizes(), config.validation_share, config.seed)
        chosen = at_least_one(chosen, kept.sizes(), source.name)
        sides = _write_sides(kept, chosen, directory)
    finally:
        waiting.unlink(missing_ok=True)
        parts.unlink(missing_ok=True)
    rows = funnel.rows()
    return {
        "source": source.name,
        "licence": source.licence,
        "fingerprint": source.fingerprint,
        "complete": config.max_bytes is None or rows[0]["bytes"] < config.max_bytes,
        "funnel": rows,
        **sides,
    }


def _steps(config: Curate, source: Source, funnel: Funnel, advance: Advance) -> Iterator[Document]:
    """The documents that pass every step; nothing is read before they are asked for."""
    documents = source.documents(funnel.rejects_of("read"), advance)
    documents = funnel.after("read", _take(documents, config.max_bytes))
    documents = funnel.after("normalise", normalize(documents))
    for name, rule in zip(_RULES, rules_of(config.rules()), strict=True):
        documents = _obey(rule, documents, funnel.rejects_of(name))
        documents = funnel.after(name, documents)
    documents = deduplicate(documents, funnel.rejects_of("deduplicate"))
    return funnel.after("deduplicate", documents)


def _obey(rule: Rule, documents: Iterable[Document], reject: Reject) -> Iterator[Document]:
    for document in documents:
        reason = rule.reason(rule.measure.of(TextView(document.text)))
        if reason is None:
            yield document
        else:
            reject(document, reason)


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


def _nothing_left(source: Source, funnel: Funnel, directory: Path) -> str:
    dropped = {row["step"]: row["dropped"] for row in funnel.rows() if row["dropped"]}
    if not dropped:
        return f"{source.name} holds no document."
    reasons = ", ".join(f"{step}: {count:,}" for step, count in dropped.items())
    return (
        f"no document of {source.name} can be used; dropped were, by step, {reasons}: "
        f"{directory / REJECTED} has the reasons."
    )
