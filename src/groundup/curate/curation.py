"""Curation of a corpus of any size: a recipe is a list of steps, a run takes a source through them.

The source's files are divided into shards, and tasks that each take one shard through a stage
(`stages`) run in processes of this machine or of many (`engines`). A run that was killed goes on
with the tasks that are not finished, and ends with the same bytes; so does a run with another
number of processes, or another engine.
"""

import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from groundup.core.config import to_dict
from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import read_json, write_json
from groundup.core.manifest import Manifest, run_stage
from groundup.core.progress import progress_bar
from groundup.core.rundir import claim_config, open_run
from groundup.curate.any_step import AnyStep
from groundup.curate.engines.engine import Engine
from groundup.curate.named_files import named_files
from groundup.curate.notes import Notes, add_up, not_written, nothing_left
from groundup.curate.sources import Source, parts_of
from groundup.curate.stages import Folders, pass_shard, read_shard, stages_of
from groundup.curate.step import CorpusStep, Task

CURATED = "curated"
INPUTS = "inputs.json"
INSPECTION = "inspect.html"  # what `groundup curate inspect` leaves


@dataclass(frozen=True, kw_only=True)
class Curation:
    """A recipe. steps: in their order. shard_bytes: of the source's files, for one shard (None: see
    `parts_of`); a file is never divided."""

    steps: tuple[AnyStep, ...]
    shard_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.shard_bytes is not None and self.shard_bytes < 1:
            raise ValueError("shard_bytes must be above 0")


def run_curation(
    config: Curation, source: Source, data: str, directory: Path, engine: Engine, console: Console
) -> Manifest:
    """Fill `directory`, or go on where an earlier run of the same recipe and source was cut off.

    data: what the user called the source. At the end there are

        documents/   JSON lines, a file a shard; the documents in the source's order
        rejected/    the records of what was dropped (`Notes`), a file a stage and shard
        notes/       what the steps counted and measured, likewise

    and `facts` of the manifest: `source`, `licence`, `shards`, and `funnel`, the notes of each step
    for the whole corpus.

    Raises `InputError` where no document is left, `ConfigError` and `ArtifactError` where the
    folder is of another recipe or source.
    """
    with open_run(directory):
        _try_steps(config.steps)
        claim_config(directory, config)
        said = to_dict(config)
        files = named_files(said)
        _claim_inputs(directory, data, source, files)

        def build(folder: Path) -> dict[str, Any]:
            return _build(config, source, folder, engine, console)

        inputs = {"source": source.fingerprint, "curation": said, "files": files}
        manifest, _ = run_stage(directory, kind=CURATED, inputs=inputs, build=build)
    return manifest


def _try_steps(steps: Sequence[AnyStep]) -> None:
    """What a step needs (rules, a model, a function) is loaded once, so that what is wrong with it
    is said before the first document is read."""
    for step in steps:
        if not isinstance(step, CorpusStep):
            deque(step.apply((), Notes(step.title, not_written)), maxlen=0)


def _claim_inputs(directory: Path, data: str, source: Source, files: dict[str, str]) -> None:
    """Raises `ArtifactError` where the folder was begun with other inputs, and says which."""
    path = directory / INPUTS
    inputs = {
        "data": data,
        "reading": source.reading.fingerprint,
        "source": source.fingerprint,
        "files": files,
    }
    if not path.exists():
        write_json(path, inputs)
        return
    before = read_json(path)
    changed = [key for key in inputs["reading"] if inputs["reading"][key] != before["reading"][key]]
    if changed:
        what = f"with another {changed[0]}"
    elif before["source"] != inputs["source"]:
        what = f"of other documents than those that {data} has now"
    elif before["files"] != files:
        names = sorted({*files, *before["files"]})
        other = next(name for name in names if files.get(name) != before["files"].get(name))
        what = f"before {other} was changed"
    else:
        return
    raise ArtifactError(
        f"{directory} was made {what}: choose another --name, or delete that folder."
    )


def _build(
    config: Curation, source: Source, directory: Path, engine: Engine, console: Console
) -> dict[str, Any]:
    folders = Folders(directory)
    parts = parts_of(source, config.shard_bytes)
    stages = stages_of(config.steps)
    shards: list[Path] = []
    funnel: list[dict[str, Any]] = []
    for stage in stages:
        last = stage is stages[-1]
        files = [folders.files(stage.number, n, last=last) for n in range(len(parts))]
        if not all(file.notes.exists() for file in files):
            if stage.corpus is None:
                tasks = [
                    Task(read_shard, (part, stage, file))
                    for part, file in zip(parts, files, strict=True)
                ]
            else:
                found = folders.found(stage.number)
                for tasks in stage.corpus.passes(shards, found):
                    _run(engine, tasks, stage.titles[0], console)
                tasks = [
                    Task(pass_shard, (stage, shards, found, number, file))
                    for number, file in enumerate(files)
                ]
            _run(engine, tasks, ", ".join(stage.titles), console)
        for path in shards:  # the stage after them is finished
            path.unlink(missing_ok=True)
        shards = [file.documents for file in files]
        funnel += add_up(one for file in files for one in read_json(file.notes))
    shutil.rmtree(directory / "work", ignore_errors=True)
    (directory / INSPECTION).unlink(missing_ok=True)  # of the run as it was; it is no part of it
    if not funnel[-1]["documents"]:
        raise InputError(nothing_left(source.name, funnel, directory / "rejected"))
    return {
        "source": source.name,
        "licence": source.licence,
        "shards": len(parts),
        "funnel": funnel,
    }


def _run(engine: Engine, tasks: Sequence[Task], title: str, console: Console) -> None:
    with progress_bar(console, title, len(tasks)) as advance:
        engine.run(tasks, advance)
