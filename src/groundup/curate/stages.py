"""How documents pass a recipe's steps: shard by shard, a stage at a time.

    read → step → step │ step over the corpus → step → step │ …
          stage 0      │              stage 1               │

A stage ends where a step must know the whole corpus. Within a stage documents stream through the
steps of a shard, one in memory at a time; between two stages they wait on disk.

A shard of a stage has three files: the documents that passed, the records of those that did not,
and the notes of the steps, written last: what has its notes is finished, and is not done again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.core.files import atomic_file, write_json
from groundup.core.progress import stand_still
from groundup.curate.document import Document, encode_document, read_corpus
from groundup.curate.notes import Notes, lines_of
from groundup.curate.sources import DOCUMENTS, NOTES, Source
from groundup.curate.step import CorpusStep, Step

READ = "read"


@dataclass(frozen=True)
class Stage:
    """number: from 0. corpus: the step over the corpus that it begins with, if any. steps: on each
    shard by itself. titles: of all of them, each unlike the others of the recipe."""

    number: int
    corpus: CorpusStep | None
    steps: tuple[Step, ...]
    titles: tuple[str, ...]


@dataclass(frozen=True)
class ShardFiles:
    """The files of one shard of one stage."""

    documents: Path
    rejected: Path
    notes: Path


@dataclass(frozen=True)
class Folders:
    """Where a run keeps its files: `documents/` at the end, `rejected/`, `notes/`, and `work/`
    until the end."""

    root: Path

    def files(self, stage: int, shard: int, *, last: bool) -> ShardFiles:
        name = f"{stage}-{shard:05}"
        between = self.root / "work" / f"{name}.jsonl"
        return ShardFiles(
            documents=self.root / DOCUMENTS / f"{shard:05}.jsonl" if last else between,
            rejected=self.root / "rejected" / f"{name}.jsonl",
            notes=self.root / NOTES / f"{name}.json",
        )

    def found(self, stage: int) -> Path:
        """What the tasks of a step over the corpus leave."""
        return self.root / "work" / f"{stage}-found"

    def notes(self) -> list[list[Path]]:
        """Those that there are, of each stage that has any."""
        stages: dict[int, list[Path]] = {}
        for path in sorted((self.root / NOTES).glob("*-*.json")):
            stages.setdefault(int(path.name.partition("-")[0]), []).append(path)
        return [stages[number] for number in sorted(stages)]

    def rejected(self) -> list[Path]:
        """Those that there are, of all stages."""
        return sorted((self.root / "rejected").glob("*.jsonl"))

    def documents(self) -> list[Path]:
        """For each shard, those that passed the last stage that it is through: in the end, those
        that are kept."""
        latest = {path.name: path for path in sorted((self.root / DOCUMENTS).glob("*.jsonl"))}
        between = [
            (int(stage), shard, path)
            for path in (self.root / "work").glob("*-*.jsonl")
            for stage, _, shard in [path.name.partition("-")]
        ]
        for _, shard, path in sorted(between, reverse=True):
            latest.setdefault(shard, path)
        return [latest[shard] for shard in sorted(latest)]


def stages_of(steps: Sequence[Step | CorpusStep]) -> list[Stage]:
    """The steps in stages."""
    groups: list[tuple[CorpusStep | None, list[Step], list[str]]] = [(None, [], [READ])]
    for step, title in zip(steps, titles_of(steps), strict=True):
        if isinstance(step, CorpusStep):
            groups.append((step, [], [title]))
        else:
            groups[-1][1].append(step)
            groups[-1][2].append(title)
    return [
        Stage(number, corpus, tuple(after), tuple(titles))
        for number, (corpus, after, titles) in enumerate(groups)
    ]


def titles_of(steps: Iterable[Step | CorpusStep]) -> list[str]:
    """Their titles; one that occurs again gets a number."""
    titles: list[str] = []
    counts = {READ: 1}
    for step in steps:
        counts[step.title] = counts.get(step.title, 0) + 1
        again = counts[step.title]
        titles.append(step.title if again == 1 else f"{step.title} {again}")
    return titles


def pass_steps(
    documents: Iterable[Document], steps: Sequence[Step], notes: Sequence[Notes]
) -> Iterator[Document]:
    """The documents that pass all steps, each with its own notes."""
    for step, own in zip(steps, notes, strict=True):
        documents = own.passed(step.apply(documents, own))
    return iter(documents)


def read_shard(source: Source, stage: Stage, files: ShardFiles) -> None:
    """The first stage on one part of the source."""
    if files.notes.exists():
        return
    _write(files, stage, lambda notes: source.documents(notes.reject, stand_still))


def pass_shard(
    stage: Stage, shards: Sequence[Path], found: Path, shard: int, files: ShardFiles
) -> None:
    """A later stage on one of the shards that the stage before has left."""
    if files.notes.exists():
        return
    assert stage.corpus is not None, "every stage but the first begins with a step over the corpus"
    first = stage.corpus.of_shard(shards, found, shard)
    _write(files, stage, lambda notes: first(read_corpus(shards[shard]), notes))


def _write(
    files: ShardFiles,
    stage: Stage,
    first: Callable[[Notes], Iterable[Document]],
) -> None:
    with atomic_file(files.rejected, "w") as rejected, atomic_file(files.documents, "w") as kept:
        notes = [Notes(title, lines_of(rejected)) for title in stage.titles]
        documents = notes[0].passed(first(notes[0]))
        for document in pass_steps(documents, stage.steps, notes[1:]):
            kept.write(encode_document(document))
    write_json(files.notes, [own.as_dict() for own in notes])
