"""What a curation did, to be looked at: its funnel, what its rules measured, some of the documents
that it kept and of those that it rejected, and what near-duplicates change.

All is read from the run's folder, which may be that of a run that is not finished, and web pages
from the source's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from groundup.core.config import TYPE
from groundup.core.errors import InputError
from groundup.core.files import read_json
from groundup.core.manifest import MANIFEST, read_manifest
from groundup.core.rundir import CONFIG
from groundup.curate.curation import CURATED, INPUTS, Curation
from groundup.curate.document import Document
from groundup.curate.drawing import (
    COMPARED_CHARS,
    Members,
    Record,
    draw_documents,
    draw_rejects,
    share_read,
)
from groundup.curate.duplicates.changes import Comparison, compare
from groundup.curate.finding import find_files
from groundup.curate.notes import add_up
from groundup.curate.pages import Pages
from groundup.curate.sampling import Reservoir
from groundup.curate.stages import Folders

_TEXT_CHARS = 5_000  # of a text are shown
_VALUE_CHARS = 200  # of a value of the metadata
_PAGE_CHARS = 300_000  # of a web page,
_PAGES_CHARS = 12_000_000  # and of all of them


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A document. text: of a long one its beginning, as `text_cut` says. reason: why it was
    rejected. page: the web page that it was extracted from, where it was one and is there; of a
    long one its beginning, as `page_cut` says."""

    id: str
    source: str
    bytes: int
    text: str
    text_cut: bool
    metadata: Mapping[str, str]
    reason: str = ""
    page: str | None = None
    page_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Documents that a step rejected for one rule: how many, and some of them."""

    step: str
    rule: str
    count: int
    samples: list[Sample]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How often a step measured each value, to two significant digits. least, most: that a document
    may have, as far as the recipe's settings tell."""

    step: str
    name: str
    values: Mapping[str, int]
    least: float | None
    most: float | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A rejected document compared with the one that was kept. beginnings: only these were."""

    id: str
    beginnings: bool
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Documents that a step rejected in favour of one, of which `kept` is the id: how many there
    were among those that were read, and some of them."""

    step: str
    kept: str
    size: int
    differences: list[Difference]


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Everything that is shown.

    data: what the user called the source. steps_left: that have not begun. samples, seed: see
    `inspect_curation`. funnel: as the facts of a curation have it; of a run that is not finished,
    with the number of `shards` that are through each step. read_share: of the files of `documents`
    and of `rejected`, from which the samples are drawn.
    """

    run: str
    data: str
    licence: str | None
    finished: bool
    steps_left: int
    samples: int
    seed: int
    funnel: list[dict[str, Any]]
    measures: list[Measure]
    kept: list[Sample]
    rules: list[Rule]
    clusters: list[Cluster]
    read_share: dict[str, float]

    def facts(self) -> dict[str, Any]:
        """As JSON holds it; without the web pages."""
        return asdict(self, dict_factory=lambda items: {k: v for k, v in items if k != "page"})


def inspect_curation(run: Path, samples: int = 5, seed: int = 0) -> Inspection:
    """What there is to see of a run, finished or not.

    samples: documents that were kept, documents of each rule, and clusters of each step that finds
    near-duplicates. seed: of the draw.

    Raises `InputError` where `run` is no curation's folder, or no shard has been read yet.
    """
    config = _config_of(run)
    finished = (run / MANIFEST).exists()
    facts = read_manifest(run, CURATED).facts if finished else {}
    folders = Folders(run)
    funnel = facts["funnel"] if finished else _funnel_so_far(folders)
    if not funnel:
        raise InputError(f"{run} has nothing to show yet: none of its shards has been read.")
    data = read_json(run / INPUTS)["data"]
    titles = [row["step"] for row in funnel]  # reading, and then the recipe's steps in their order
    settings: dict[str, Record] = dict(zip(titles, [{}, *config["steps"]], strict=False))

    rejected, documents = folders.rejected(), folders.documents()
    rejects = draw_rejects(rejected, samples, seed)
    wanted = {kept for held in rejects.clusters.values() for kept in held.items()}
    drawn = draw_documents(documents, samples, seed, wanted)
    shown = _Shown(_pages_of(data))
    return Inspection(
        run=run.resolve().name,
        data=data,
        licence=facts.get("licence"),
        finished=finished,
        steps_left=1 + len(config["steps"]) - len(funnel),
        samples=samples,
        seed=seed,
        funnel=funnel,
        measures=[
            _measure(row["step"], name, values, settings[row["step"]])
            for row in funnel
            for name, values in row["values"].items()
        ],
        kept=[shown.sample(_record_of(document)) for document in drawn.kept.items().values()],
        rules=[
            Rule(
                step=row["step"],
                rule=rule,
                count=count,
                samples=[shown.sample(record) for record in rejects.of_rule(row["step"], rule)],
            )
            for row in funnel
            for rule, count in sorted(row["rejected"].items(), key=lambda item: -item[1])
        ],
        clusters=[
            cluster
            for step in titles
            if step in rejects.clusters
            for cluster in islice(
                _clusters(step, rejects.clusters[step], drawn.texts, settings[step]), samples
            )
        ],
        read_share={"documents": share_read(documents), "rejected": share_read(rejected)},
    )


@dataclass
class _Shown:
    """Makes samples of records, with web pages while there is room for them."""

    pages: Pages | None
    room: int = _PAGES_CHARS

    def sample(self, record: Record) -> Sample:
        page = None
        if self.pages is not None and self.room > 0:
            page = self.pages.find(record["id"], record["metadata"])
        beginning = None if page is None else page[:_PAGE_CHARS]
        self.room -= len(beginning or "")
        text = record["text"][:_TEXT_CHARS]
        return Sample(
            id=record["id"],
            source=record["source"],
            bytes=record["bytes"],
            text=text,
            text_cut=record["bytes"] > len(text.encode("utf-8")),
            metadata=_short(record["metadata"]),
            reason=record.get("reason", ""),
            page=beginning,
            page_cut=page != beginning,
        )


def _config_of(run: Path) -> Record:
    config = read_json(run / CONFIG) if (run / CONFIG).is_file() else None
    if not isinstance(config, dict) or config.get(TYPE) != Curation.__name__:
        raise InputError(f"{run} is no curation: give a folder that groundup curate run has made.")
    return config


def _pages_of(data: str) -> Pages | None:
    path = Path(data).expanduser()
    if path.exists():
        return Pages(path if path.is_dir() else path.parent)
    try:
        return Pages(find_files(path).root)  # of a pattern
    except InputError:
        return None


def _funnel_so_far(folders: Folders) -> list[dict[str, Any]]:
    return [
        {**row, "shards": len(paths)}
        for paths in folders.notes()
        for row in add_up(notes for path in paths for notes in read_json(path))
    ]


def _measure(step: str, name: str, values: Mapping[str, int], settings: Record) -> Measure:
    """With its limits, as steps call them: a setting of its own name, or `min_NAME` and `max_NAME`,
    or `least` and `most` of a step that measures one thing."""
    own = settings.get(name)
    if isinstance(own, dict):
        least, most = own.get("min"), own.get("max")
    else:
        least = settings.get(f"min_{name}", settings.get("least"))
        most = settings.get(f"max_{name}", settings.get("most"))
    return Measure(step=step, name=name, values=values, least=least, most=most)


def _short(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {name[:_VALUE_CHARS]: str(value)[:_VALUE_CHARS] for name, value in metadata.items()}


def _record_of(document: Document) -> Record:
    return {
        "id": document.id,
        "source": document.source,
        "bytes": document.size,
        "text": document.text[:_TEXT_CHARS],
        "metadata": document.metadata,
    }


def _clusters(
    step: str, held: Reservoir[Members], texts: Mapping[str, str], settings: Record
) -> Iterator[Cluster]:
    """Those of which the kept document was read, and which differ in more than white space."""
    for kept, members in held.items().items():
        if kept in texts:
            differences = [_difference(record, texts[kept], settings) for record in members.records]
            differences = [found for found in differences if found.comparison.places]
            if differences:
                yield Cluster(step=step, kept=kept, size=members.count, differences=differences)


def _difference(record: Record, kept: str, settings: Record) -> Difference:
    text, minhash = record["text"], settings.get("minhash", {})
    cut = record["bytes"] > len(text.encode("utf-8"))
    comparison = compare(
        text,
        kept[: len(text)] if cut else kept,
        width=minhash.get("width", 5),
        punctuation=minhash.get("punctuation", False),
        open_end=cut,
    )
    return Difference(
        id=record["id"],
        beginnings=cut or len(kept) == COMPARED_CHARS,
        comparison=comparison,
    )
